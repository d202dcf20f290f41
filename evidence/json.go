package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	kjson "sigs.k8s.io/json"
)

// maxJSONDepth bounds how deep a document nests. The deepest signed documents
// in use, nested component lists of SBOMs, stay below 50 levels; a hostile one
// would spend our stack and that of every reader after us.
const maxJSONDepth = 200

// maxJSONNames bounds the names of one object, which are all remembered while
// it is read. Documents with much to list use lists; the largest objects in
// use, such as the files of a lock file, have some thousands.
const maxJSONNames = 100_000

// DecodeJSON decodes one JSON document, as TRUST R4 asks for evidence: names
// are matched by case, a name that occurs twice in an object is refused
// wherever the object is, and so are a second value after the first, text that
// is not UTF-8, more than 200 levels of nesting, and more than 100,000 names in
// one object. Names that into does not
// have are skipped, but what they hold is checked like the rest. Numbers become
// int64 or float64 in an any.
//
// The caller bounds the length of data and classifies the error. A type with
// its own UnmarshalJSON decides for itself about the case of names.
func DecodeJSON(data []byte, into any) error {
	if err := CheckJSON(data); err != nil {
		return err
	}
	return decodeChecked(data, into)
}

func decodeChecked(data []byte, into any) error {
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, into); err != nil {
		return fmt.Errorf("decode JSON: %w", err)
	}
	return nil
}

// CheckJSON is DecodeJSON without the decoding: for documents that another
// library decodes, which may be laxer.
func CheckJSON(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("decode JSON: expected UTF-8")
	}
	if !json.Valid(data) {
		var ignored json.RawMessage
		if err := json.Unmarshal(data, &ignored); err != nil {
			return fmt.Errorf("decode JSON: %w", err)
		}
		return errors.New("decode JSON: expected one JSON value")
	}
	return checkNames(data)
}

// checkNames walks a document that is known to be valid JSON and refuses names
// that occur twice in one object and nesting that is too deep. The decoder's
// own check does not see objects inside names that it skips.
func checkNames(data []byte) error {
	var open []*nameSet // one per open object or array; nil for arrays
	name := false       // a string that starts now is a name
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			if len(open) == maxJSONDepth {
				return fmt.Errorf("decode JSON: expected at most %d levels of nesting, got more", maxJSONDepth)
			}
			if name = data[i] == '{'; name {
				open = append(open, &nameSet{})
			} else {
				open = append(open, nil)
			}
		case '}', ']':
			open, name = open[:len(open)-1], false
		case ',':
			name = open[len(open)-1] != nil
		case '"':
			end := stringEnd(data, i)
			if name {
				if err := open[len(open)-1].add(data[i:end]); err != nil {
					return err
				}
			}
			i, name = end-1, false
		}
	}
	return nil
}

// stringEnd returns the index after the closing quote of the string that
// starts at i.
func stringEnd(data []byte, i int) int {
	for i++; data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// fewNames is up to where comparing one by one is faster than hashing.
const fewNames = 12

// nameSet holds the names of one object, decoded, so that "a" and "\u0061" are
// one name.
type nameSet struct {
	few  [][]byte
	many map[string]struct{}
}

func (s *nameSet) add(quoted []byte) error {
	name := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		var decoded string
		if err := json.Unmarshal(quoted, &decoded); err != nil {
			return fmt.Errorf("decode JSON: %w", err)
		}
		name = []byte(decoded)
	}
	if s.has(name) {
		return fmt.Errorf("decode JSON: expected each name once, got %q twice in one object", clip(string(name)))
	}
	if s.many == nil && len(s.few) < fewNames {
		s.few = append(s.few, name)
		return nil
	}
	if s.many == nil {
		s.many = make(map[string]struct{}, 2*fewNames)
		for _, n := range s.few {
			s.many[string(n)] = struct{}{}
		}
	}
	if len(s.many) == maxJSONNames {
		return fmt.Errorf("decode JSON: expected at most %d names in one object, got more", maxJSONNames)
	}
	s.many[string(name)] = struct{}{}
	return nil
}

func (s *nameSet) has(name []byte) bool {
	if s.many != nil {
		_, found := s.many[string(name)]
		return found
	}
	for _, n := range s.few {
		if bytes.Equal(n, name) {
			return true
		}
	}
	return false
}

// maxQuoted bounds what a message repeats of hostile input.
const maxQuoted = 200

func clip(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return s[:maxQuoted] + "…"
}
