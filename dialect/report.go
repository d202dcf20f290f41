package dialect

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bonafide-dev/bonafide/internal/spelling"
	"github.com/bonafide-dev/bonafide/policy"
)

// Report collects what a dialect finds while it compiles one document: errors,
// each with its line and field, and notes. A dialect's compiler embeds it and
// goes on after an error, so that people see everything that is wrong at once;
// what it compiled counts only if there are no Errors.
//
// A path is a field of the document, as in [Error]. A format and its operands
// are those of [fmt.Errorf] for errors, of [fmt.Sprintf] for notes. A Report
// with its Document is ready to use; it is not safe for concurrent use.
type Report struct {
	Document Document
	// Partial says that a part of the document could not be read, which is among
	// the Errors: what seems absent may be in that part.
	Partial bool
	Errors  Errors
	Notes   []policy.Note
}

// Decode is [Document.Decode], with its errors added to the report. It reports
// whether there were none; the document is Partial otherwise.
func (r *Report) Decode(into any) bool {
	err := r.Document.Decode(into)
	r.Partial = err != nil
	r.Errors = append(r.Errors, ErrorsOf(err, r.Document.File)...)
	return err == nil
}

// Errorf adds an error about the field at path.
func (r *Report) Errorf(path, format string, args ...any) {
	r.Errors = append(r.Errors, r.Document.Errorf(path, format, args...))
}

// Missing is Errorf for what is absent. It adds nothing if the document is
// Partial: a field that could not be read is reported once, not again as
// missing.
func (r *Report) Missing(path, format string, args ...any) {
	if !r.Partial {
		r.Errorf(path, format, args...)
	}
}

// Near is Errorf with the candidate, if there is one, that was probably meant
// by got.
func (r *Report) Near(path, got string, candidates []string, format string, args ...any) {
	err := r.Document.Errorf(path, format, args...)
	err.Nearest = spelling.Nearest(got, candidates)
	r.Errors = append(r.Errors, err)
}

// Refused adds the error of a signer that could not be made, at the field that
// it is about: fields holds the paths by the Field constants of [SpecError].
// The error is at otherwise if it names no field, or none of these.
func (r *Report) Refused(err error, fields map[string]string, otherwise string) {
	path := otherwise
	var spec *SpecError
	if errors.As(err, &spec) {
		if p, known := fields[spec.Field]; known {
			path = p
		}
	}
	r.Errorf(path, "%w", err)
}

// AtMost reports whether a list's length keeps its bound, and adds an error if
// it does not.
func (r *Report) AtMost(path string, length, bound int) bool {
	if length <= bound {
		return true
	}
	r.Errorf(path, "expected at most %d, got %d", bound, length)
	return false
}

// Field is the name of a field, and whether a document sets it.
type Field struct {
	Name string
	Set  bool
}

// Given returns a Field.
func Given(name string, set bool) Field { return Field{Name: name, Set: set} }

// ExactlyOne reports whether one of several fields of the object at path is
// set, and no other. It adds an error if not; none is [Report.Missing].
func (r *Report) ExactlyOne(path string, fields ...Field) bool {
	var names, set []string
	for _, f := range fields {
		names = append(names, f.Name)
		if f.Set {
			set = append(set, f.Name)
		}
	}
	switch len(set) {
	case 1:
		return true
	case 0:
		r.Missing(path, "expected exactly one of %s, got none", Either(names))
	default:
		r.Errorf(path, "expected exactly one of %s, got %d: %s", Either(names), len(set), strings.Join(set, ", "))
	}
	return false
}

// Note adds a note about the field at path.
func (r *Report) Note(path, format string, args ...any) {
	r.Notes = append(r.Notes, policy.Note{Path: path, Text: fmt.Sprintf(format, args...)})
}

// Weaker is Note for a field that asks for less than the defaults do.
func (r *Report) Weaker(path, format string, args ...any) {
	r.Notes = append(r.Notes, policy.Note{Path: path, Text: fmt.Sprintf(format, args...), Weakening: true})
}
