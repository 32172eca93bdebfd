dist_noinst_DATA += \
	%D%/board/README \
	%D%/board/board.html \
	%D%/board/board.py \
	%D%/guestbook/README \
	%D%/guestbook/guestbook/__init__.py \
	%D%/guestbook/guestbook/asgi.py \
	%D%/guestbook/guestbook/cache.py \
	%D%/guestbook/guestbook/settings.py \
	%D%/guestbook/guestbook/templates/book.html \
	%D%/guestbook/guestbook/urls.py \
	%D%/guestbook/guestbook/views.py \
	%D%/guestbook/guestbook/wsgi.py \
	%D%/visits/README \
	%D%/visits/visits.py \
	%D%/visits/static/leaf.svg \
	%D%/visits/static/live.js \
	%D%/visits/static/style.css \
	%D%/visits/templates/page.html
