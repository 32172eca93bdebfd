// Shows what happens when it happens, by server-sent events, and asks for all the
// numbers then and every few seconds. Text of readers goes in as text, never as HTML.
'use strict';

const page = document.body;
const $ = (id) => document.getElementById(id);

function element(tag, className, text) {
	const node = document.createElement(tag);
	if (className) node.className = className;
	if (text !== undefined) node.textContent = text;
	return node;
}

function clock(seconds) {
	return new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ') + ' UTC';
}

function showWorkers(served, pid) {
	$('workers').replaceChildren(...Object.keys(served).sort((a, b) => a - b).map((id) => {
		const row = element('li', Number(id) === pid ? 'now' : '');
		row.append(element('span', '', `worker ${id}`), ' ', element('b', '', served[id]));
		return row;
	}));
}

function showEntries(entries) {
	const rows = entries.map((entry) => {
		const row = element('li');
		const who = element('p', 'who');
		who.append(element('b', '', entry.name), ' ', element('time', '', clock(entry.time)));
		row.append(who, element('p', 'text', entry.text), element('p', 'note', `kept by worker ${entry.pid}`));
		return row;
	});
	$('entries').replaceChildren(...(rows.length ? rows : [element('li', 'empty', 'Nobody has signed yet.')]));
}

function showWords(words) {
	$('words').replaceChildren(...(words.length ? words : [['none yet', '']]).map(([word, count]) => {
		const row = element('li');
		row.append(element('span', '', word), ' ', element('b', '', count));
		return row;
	}));
}

function show(now) {
	$('visits').textContent = now.visits;
	$('readers').textContent = now.readers;
	$('since').textContent = clock(now.since);
	$('rate-left').textContent = now.rate_left;
	if (now.rate_reset > 0) $('rate-note').textContent = `all again in ${Math.ceil(now.rate_reset)} s`;
	else $('rate-note').textContent = 'in 60 s, by address';
	showWorkers(now.served, now.pid);
	showWords(now.words);
	if (now.entries) {
		showEntries(now.entries);
		page.dataset.version = now.version;
	}
}

function showLink(up, text) {
	const link = $('link');
	const name = up ? 'up' : 'down';
	if (link.className === name && up) return;
	link.className = name;
	$('link-text').textContent = text;
}

let timer = 0;

async function poll() {
	clearTimeout(timer);
	try {
		const answer = await fetch(`${page.dataset.live}?version=${page.dataset.version}`,
			{ cache: 'no-store', signal: AbortSignal.timeout(5000) });
		if (!answer.ok) throw new Error(`the server says ${answer.status}`);
		show(await answer.json());
		showLink(true, 'Live: what happens is shown when it happens');
	} catch (error) {
		showLink(false, 'No answer at the moment; trying again');
	}
	clearTimeout(timer);
	timer = setTimeout(poll, 3000);
}

// A crowd of visits is one question.
function pollSoon() {
	clearTimeout(timer);
	timer = setTimeout(poll, 200);
}

const events = new EventSource(page.dataset.events);
events.addEventListener('visits', (event) => {
	const { visits } = JSON.parse(event.data);
	if (visits) $('visits').textContent = visits;
	pollSoon();
});
events.addEventListener('notice', (event) => {
	const message = JSON.parse(event.data);
	$('notice').textContent = typeof message === 'string' ? message : JSON.stringify(message);
	$('notice').hidden = false;
});

poll();
