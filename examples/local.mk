dist_noinst_DATA += \
	%D%/visits/visits.py \
	%D%/visits/static/leaf.svg \
	%D%/visits/static/live.js \
	%D%/visits/static/style.css \
	%D%/visits/templates/page.html
