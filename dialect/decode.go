package dialect

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/bonafide-dev/bonafide/internal/spelling"
)

// Decode fills the struct that into points to from the document, by its json
// tags. It is stricter than encoding/json: names are compared with their case,
// and an unknown field, a value of another type, an empty value and a key that
// occurs twice are errors. A type that implements [json.Unmarshaler] decides
// for itself what it reads, an empty value included.
//
// The error is [Errors] and holds everything that is wrong. Fields without an
// error are set even then, so that a caller can look for more.
func (d Document) Decode(into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() || d.root == nil {
		return Errors{d.Errorf("", "cannot be decoded into %T", into)}
	}
	c := decoding{document: d}
	c.value(d.root, target.Elem(), "")
	return c.failed.Err()
}

type decoding struct {
	document Document
	failed   Errors
}

// errorf reports about a field at the line of its value's key.
func (c *decoding) errorf(path, nearest, format string, args ...any) {
	if len(c.failed) > maxErrors {
		return // finding its line would cost more than it helps
	}
	err := c.document.Errorf(path, format, args...)
	err.Nearest = nearest
	c.failed = append(c.failed, err)
}

func (c *decoding) value(n *yaml.Node, v reflect.Value, path string) {
	if u, custom := v.Addr().Interface().(json.Unmarshaler); custom {
		c.custom(n, u, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if c.expect(n.ShortTag() != "!!null", n, path, kindName(v.Type().Elem())) {
			v.Set(reflect.New(v.Type().Elem()))
			c.value(n, v.Elem(), path)
		}
	case reflect.Struct:
		if c.expect(n.Kind == yaml.MappingNode, n, path, "an object") {
			c.object(n, v, path)
		}
	case reflect.Map:
		if c.expect(n.Kind == yaml.MappingNode, n, path, "an object") {
			c.dictionary(n, v, path)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			c.bytes(n, v, path)
			return
		}
		if c.expect(n.Kind == yaml.SequenceNode, n, path, "a list") {
			c.list(n, v, path)
		}
	case reflect.Interface:
		if v.NumMethod() == 0 {
			if plain := plainValue(n); plain != nil {
				v.Set(reflect.ValueOf(plain))
			}
			return
		}
		c.errorf(path, "", "cannot be decoded into %s", v.Type())
	default:
		c.scalar(n, v, path)
	}
}

func (c *decoding) custom(n *yaml.Node, u json.Unmarshaler, path string) {
	raw, err := json.Marshal(plainValue(n))
	if err == nil {
		err = u.UnmarshalJSON(raw)
	}
	if err != nil {
		c.errorf(path, "", "expected a value of another form: %w", err)
	}
}

func (c *decoding) object(n *yaml.Node, v reflect.Value, path string) {
	known, names := structFields(v.Type())
	for key, value := range fields(n) {
		index, found := known[key.Value]
		if !found {
			c.errorf(join(path, key.Value), spelling.Nearest(key.Value, names), "unknown field")
			continue
		}
		c.value(value, v.FieldByIndex(index), join(path, key.Value))
	}
}

func (c *decoding) dictionary(n *yaml.Node, v reflect.Value, path string) {
	if v.Type().Key().Kind() != reflect.String {
		c.errorf(path, "", "cannot be decoded into %s", v.Type())
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	for key, value := range fields(n) {
		item := reflect.New(v.Type().Elem()).Elem()
		c.value(value, item, join(path, key.Value))
		m.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), item)
	}
	v.Set(m)
}

func (c *decoding) list(n *yaml.Node, v reflect.Value, path string) {
	s := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		c.value(item, s.Index(i), At(path, i))
	}
	v.Set(s)
}

// bytes reads base64, as Kubernetes writes bytes (RFC 4648 §4).
func (c *decoding) bytes(n *yaml.Node, v reflect.Value, path string) {
	if !c.expect(isString(n), n, path, "a string") {
		return
	}
	content, err := base64.StdEncoding.DecodeString(n.Value)
	if err != nil {
		c.errorf(path, "", "expected base64: %w", err)
		return
	}
	v.SetBytes(content)
}

func (c *decoding) scalar(n *yaml.Node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.String:
		if c.expect(isString(n), n, path, "a string") {
			v.SetString(n.Value)
		}
	case reflect.Bool:
		var b bool
		if c.expect(n.ShortTag() == "!!bool" && n.Decode(&b) == nil, n, path, "true or false") {
			v.SetBool(b)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var i int64
		if !c.expect(n.ShortTag() == "!!int", n, path, "a whole number") {
			return
		}
		if n.Decode(&i) != nil || v.OverflowInt(i) {
			c.errorf(path, "", "expected a whole number of %d bits, got one that does not fit", v.Type().Bits())
			return
		}
		v.SetInt(i)
	case reflect.Float32, reflect.Float64:
		var f float64
		number := n.ShortTag() == "!!int" || n.ShortTag() == "!!float"
		if c.expect(number && n.Decode(&f) == nil && !math.IsNaN(f) && !math.IsInf(f, 0), n, path, "a finite number") {
			v.SetFloat(f)
		}
	default:
		c.errorf(path, "", "cannot be decoded into %s", v.Type())
	}
}

// expect reports that n is not what it should be, unless it is. The value
// itself is not repeated: it may be secret.
func (c *decoding) expect(holds bool, n *yaml.Node, path, wanted string) bool {
	if holds {
		return true
	}
	hint := ""
	if wanted == "a string" && n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" {
		hint = "; put it in quotes"
	}
	c.errorf(path, "", "expected %s, got %s%s", wanted, describe(n), hint)
	return false
}

// isString also takes a date for the string that it was written as: only YAML
// 1.1 knows dates.
func isString(n *yaml.Node) bool {
	tag := n.ShortTag()
	return n.Kind == yaml.ScalarNode && (tag == "!!str" || tag == "!!timestamp")
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice:
		return "a list"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	}
	return "a number"
}

// structFields returns the fields of a struct by the names that its json tags
// give them, those of inlined structs included, and the names in order.
func structFields(t reflect.Type) (map[string][]int, []string) {
	known := make(map[string][]int)
	var names []string
	var walk func(reflect.Type, []int)
	walk = func(t reflect.Type, at []int) {
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			here := append(slices.Clone(at), i)
			switch {
			case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
				walk(f.Type, here)
			case name != "" && name != "-" && f.IsExported():
				known[name] = here
				names = append(names, name)
			}
		}
	}
	walk(t, nil)
	return known, names
}

// plainValue returns what encoding/json would make of the node.
func plainValue(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for key, value := range fields(n) {
			m[key.Value] = plainValue(value)
		}
		return m
	case yaml.SequenceNode:
		s := make([]any, len(n.Content))
		for i, item := range n.Content {
			s[i] = plainValue(item)
		}
		return s
	}
	if isString(n) {
		return n.Value
	}
	var v any
	if n.Decode(&v) != nil {
		return n.Value
	}
	return v
}
