# Targets that run things; the work is in scripts, so that each can be read and run alone.
.PHONY: help clean
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)
## make clean           removes build/
clean:
	rm -rf build
