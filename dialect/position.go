package dialect

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Line returns the line of the field at path, written as errors write it
// ("spec.signers[1].name"), or of the nearest field around it that the document
// has. The empty path is the document itself.
func (d Document) Line(path string) int {
	if d.root == nil {
		return 0
	}
	return line(d.root, d.root.Line, path)
}

// line descends along path; at is the line of the key that leads to n, which
// is where a person looks for it.
func line(n *yaml.Node, at int, path string) int {
	if path == "" {
		return at
	}
	switch n.Kind {
	case yaml.MappingNode:
		for key, value := range fields(n) {
			if rest, found := after(path, join("", key.Value)); found {
				return line(value, key.Line, rest)
			}
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			if rest, found := after(path, At("", i)); found {
				return line(item, item.Line, rest)
			}
		}
	}
	return at
}

// after cuts the first step off a path.
func after(path, step string) (rest string, found bool) {
	rest, found = strings.CutPrefix(path, step)
	if !found || rest == "" {
		return "", found
	}
	return strings.TrimPrefix(rest, "."), rest[0] == '.' || rest[0] == '['
}

// Place returns "file:line" of the document's first line, or "" if it is not
// from a file.
func (d Document) Place() string {
	if d.File == "" {
		return ""
	}
	return d.File + ":" + strconv.Itoa(d.Line(""))
}

// Errorf returns an Error about the field at path, with file and line. Like
// [fmt.Errorf] it takes one %w, whose operand becomes the cause.
func (d Document) Errorf(path, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{File: d.File, Line: d.Line(path), Path: d.full(path), Message: err.Error(), Err: errors.Unwrap(err)}
}

// full puts the place within a List in front of a path.
func (d Document) full(path string) string {
	switch {
	case d.item == "":
		return path
	case path == "" || path[0] == '[':
		return d.item + path
	}
	return d.item + "." + path
}

// At returns the path of an element, counted from 0, of the list at path.
func At(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// join appends a field to a path. Names that would be read as several fields
// are quoted.
func join(path, field string) string {
	field = Clip(field)
	if strings.ContainsAny(field, ".[]\" ") || field == "" {
		return path + "[" + strconv.Quote(field) + "]"
	}
	if path == "" {
		return field
	}
	return path + "." + field
}
