package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// progressWidth is that of a full bar.
const progressWidth = 40

// progress tells on a terminal what a command is at; elsewhere it is silent.
type progress struct {
	w  io.Writer
	on bool
}

func newProgress(w io.Writer) progress { return progress{w, terminal(w)} }

// at names what is being done, in the place of what was named before.
func (p progress) at(what string) {
	if p.on {
		fmt.Fprintf(p.w, "\r\x1b[K%s …", what)
	}
}

// bar draws how much is done, and nothing when all is.
func (p progress) bar(done, total int) {
	if !p.on {
		return
	}
	if done >= total {
		p.end()
		return
	}
	fmt.Fprintf(p.w, "\r\x1b[K[%-*s] %d/%d ", progressWidth, strings.Repeat("#", progressWidth*done/total), done, total)
}

// end clears the line for what comes next.
func (p progress) end() {
	if p.on {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func terminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}
