package dialect

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// ObjectReader finds Secrets and ConfigMaps as [Material] does.
type ObjectReader interface {
	// Secret returns a Secret, or an error that wraps [ErrNoMaterial] if there is
	// none, or another if that could not be told.
	Secret(namespace, name string) (Object, error)
	// ConfigMap is Secret for ConfigMaps.
	ConfigMap(namespace, name string) (Object, error)
}

// NewObjects returns Objects that hold these. Of two with the same kind,
// namespace and name the last counts.
func NewObjects(objects ...Object) Objects {
	all := make(map[objectID]Object, len(objects))
	for _, o := range objects {
		all[objectID{o.Kind, o.Namespace, o.Name}] = o
	}
	return Objects{all}
}

// FromObject returns the document that an object is which was decoded from JSON:
// of maps, lists, strings, numbers, booleans and nil. It has no file and no
// lines, and the bounds of [Parse] hold. The object is not kept. The error is
// [Errors].
func FromObject(object map[string]any) (Document, error) {
	b := builder{left: maxNodes}
	root := b.node(object, "", 0)
	if len(b.failed) > 0 {
		return Document{}, b.failed
	}
	return newDocument("", root, "")
}

// builder makes of an object the tree that Parse makes of its text.
type builder struct {
	left   int // nodes that may still be made
	failed Errors
}

func (b *builder) node(value any, path string, depth int) *yaml.Node {
	if b.left--; b.left < 0 || depth > maxDepth {
		if len(b.failed) == 0 {
			b.failed = Errors{{Path: Clip(path), Message: fmt.Sprintf("expected at most %d values and %d levels, got more", maxNodes, maxDepth)}}
		}
		return scalar("!!null", "")
	}
	switch v := value.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			n.Content = append(n.Content, scalar("!!str", key), b.node(v[key], join(path, key), depth+1))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for i := range v {
			n.Content = append(n.Content, b.node(v[i], At(path, i), depth+1))
		}
		return n
	case string:
		return scalar("!!str", v)
	case bool:
		return scalar("!!bool", strconv.FormatBool(v))
	case int64:
		return scalar("!!int", strconv.FormatInt(v, 10))
	case float64:
		return scalar("!!float", strconv.FormatFloat(v, 'g', -1, 64))
	case nil:
		return scalar("!!null", "")
	}
	b.failed = append(b.failed, &Error{Path: Clip(path), Message: fmt.Sprintf("expected a value that JSON has, got a %T", value)})
	return scalar("!!null", "")
}

func scalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}
