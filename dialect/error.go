package dialect

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxErrors bounds the errors that are kept of one load: a person fixes the
// first few, and a file of wrong bytes could have one per line.
const maxErrors = 100

// Error is one thing that is wrong with a document, and where. It repeats no
// value of a Secret.
type Error struct {
	File    string // as it was named; empty if the document is not from a file
	Line    int    // from 1; 0 if unknown
	Path    string // the field, such as "spec.signers[1].sigstore.key.pem"; may be empty
	Message string // what was expected and what was found
	Nearest string // the valid name that was probably meant; may be empty
	Err     error  // the cause, whose words are part of Message; may be nil
}

// Error returns "file:line: path: message; did you mean "nearest"?".
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			b.WriteString(":" + strconv.Itoa(e.Line))
		}
		b.WriteString(": ")
	}
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Message)
	if e.Nearest != "" {
		fmt.Fprintf(&b, "; did you mean %q?", e.Nearest)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errors is everything that is wrong. An empty Errors is no error: return
// [Errors.Err].
type Errors []*Error

// Error returns one line for each error.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns each error.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, err := range e {
		all[i] = err
	}
	return all
}

// Err returns e, ordered by file and line and at most a hundred of them, or nil
// if it is empty.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	sorted := slices.Clone(e)
	slices.SortStableFunc(sorted, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	if len(sorted) > maxErrors {
		sorted = append(sorted[:maxErrors], &Error{Message: "there are more errors, which are left out"})
	}
	return sorted
}

// ErrorsOf returns the errors that err consists of: those of an Errors, an
// Error itself, and anything else as an Error of the file.
func ErrorsOf(err error, file string) Errors {
	if err == nil {
		return nil
	}
	var many Errors
	if errors.As(err, &many) {
		return many
	}
	var one *Error
	if errors.As(err, &one) {
		return Errors{one}
	}
	return Errors{{File: file, Message: err.Error(), Err: err}}
}

// maxQuoted bounds what an error repeats of its input.
const maxQuoted = 200

// Clip returns s as errors quote it: at most 200 bytes, with an ellipsis if
// there were more. It cuts no character in two.
func Clip(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
}

// Either joins words to "a, b or c".
func Either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
