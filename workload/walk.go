package workload

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bonafide-dev/bonafide/evidence"
)

// object is an object of a decoded document and its place. An absent one has
// no members.
type object struct {
	members map[string]any
	pointer string
}

// at returns the pointer of a member.
func (o object) at(name string) string { return o.pointer + "/" + escape(name) }

// has reports whether a member is there and not null: the API server reads a
// null as an absent member.
func (o object) has(name string) bool { return o.members[name] != nil }

// escape escapes a member's name for a pointer (RFC 6901 §3).
func escape(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// walker reads members as the types that they must have. After an error it goes
// on, as if what it could not read were absent, and keeps the error whose
// pointer sorts first: members have no order of their own.
type walker struct {
	err *evidence.Problem
}

func (w *walker) want(pointer, expected string, got any) {
	if w.err == nil || pointer < w.err.Path {
		w.err = malformed(pointer, expected, shape(got), nil)
	}
}

// text reads an optional string.
func (w *walker) text(o object, name string) string {
	switch value := o.members[name].(type) {
	case string:
		return value
	case nil:
	default:
		w.want(o.at(name), "a string", value)
	}
	return ""
}

// optional reads an object that may be absent.
func (w *walker) optional(o object, name string) object {
	if !o.has(name) {
		return object{pointer: o.at(name)}
	}
	return w.required(o, name)
}

// required reads an object that must be there.
func (w *walker) required(o object, name string) object {
	return w.object(o.members[name], o.at(name))
}

func (w *walker) object(value any, pointer string) object {
	members, ok := value.(map[string]any)
	if !ok {
		w.want(pointer, "an object", value)
	}
	return object{members: members, pointer: pointer}
}

// objects reads an optional list of objects, none of them absent.
func (w *walker) objects(o object, name string) []object {
	if !o.has(name) {
		return nil
	}
	values, ok := o.members[name].([]any)
	if !ok {
		w.want(o.at(name), "a list", o.members[name])
		return nil
	}
	list := make([]object, len(values))
	for i, value := range values {
		list[i] = w.object(value, o.at(name)+"/"+strconv.Itoa(i))
	}
	return list
}

func malformed(pointer, expected, got string, err error) *evidence.Problem {
	return &evidence.Problem{Reason: evidence.MalformedObject, Path: pointer, Expected: expected, Got: got, Err: err}
}

func shape(value any) string {
	switch value := value.(type) {
	case nil:
		return "nothing"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return fmt.Sprintf("a number (%.40v)", value)
	}
}
