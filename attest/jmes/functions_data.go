package jmes

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/bonafide-dev/bonafide/evidence"
)

// dataFunctions are Kyverno's functions of objects, lists and encodings.
func dataFunctions() []function {
	return []function{
		{name: "label_match", args: []kinds{anObject, anObject}, run: labelMatch},
		{name: "to_boolean", args: []kinds{aString}, run: toBoolean},
		{name: "base64_decode", args: []kinds{aString}, run: base64Decode},
		{name: "base64_encode", args: []kinds{aString}, run: base64Encode},
		{name: "parse_json", args: []kinds{aString}, run: parseJSON},
		{name: "parse_yaml", args: []kinds{aString}, run: parseYAML},
		{name: "lookup", args: []kinds{anObject | anArray, textOrNumber}, run: lookup},
		{name: "items", args: []kinds{anObject | anArray, aString, aString}, run: items},
		{name: "object_from_lists", args: []kinds{anArray, anArray}, run: objectFromLists},
	}
}

// labelMatch reports whether the second object has all labels of the first. No
// labels to look for is a mistake rather than a match.
func labelMatch(c call) (any, error) {
	wanted, labels := c.object(0), c.object(1)
	if len(wanted) == 0 {
		return nil, errors.New("expected labels to look for, got none")
	}
	for name, value := range wanted {
		if err := c.step(1 + len(name)/bytesPerStep); err != nil {
			return nil, err
		}
		label, has := labels[name]
		same, err := c.equal(value, label)
		if err != nil {
			return nil, err
		}
		if !has || !same {
			return false, nil
		}
	}
	return true, nil
}

func toBoolean(c call) (any, error) {
	switch {
	case strings.EqualFold(c.string(0), "true"):
		return true, nil
	case strings.EqualFold(c.string(0), "false"):
		return false, nil
	}
	return nil, fmt.Errorf(`expected "true" or "false", got %q`, clip(c.string(0), maxShown))
}

func base64Decode(c call) (any, error) {
	if err := c.produce(len(c.string(0))); err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(c.string(0))
	if err != nil {
		return nil, fmt.Errorf("expected base64: %w", err)
	}
	return string(data), nil
}

func base64Encode(c call) (any, error) {
	if err := c.produce(base64.StdEncoding.EncodedLen(len(c.string(0)))); err != nil {
		return nil, err
	}
	return base64.StdEncoding.EncodeToString([]byte(c.string(0))), nil
}

// parsed is what a parsed byte weighs: values are made of it.
const parsed = 5

// parseJSON reads JSON as strictly as evidence is read (TRUST R4).
func parseJSON(c call) (any, error) {
	if err := c.produce(parsed * len(c.string(0))); err != nil {
		return nil, err
	}
	var v any
	return v, evidence.DecodeJSON([]byte(c.string(0)), &v)
}

// parseYAML reads one YAML document as Kubernetes does. Aliases are written out,
// up to a bound.
func parseYAML(c call) (any, error) {
	text := c.string(0)
	if len(text) > maxDocument {
		return nil, fmt.Errorf("expected YAML of at most %d bytes, got %d", maxDocument, len(text))
	}
	const reading, starting = 8, 512 // YAML takes longer to read than JSON, and to begin with
	if err := c.step(starting); err != nil {
		return nil, err
	}
	if err := c.produce(reading * parsed * len(text)); err != nil {
		return nil, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		return nil, fmt.Errorf("expected YAML: %w", err)
	}
	w := weighing{known: map[*yaml.Node]int{}}
	weight := w.of(&root, 0)
	if weight > maxNodes {
		return nil, fmt.Errorf("expected YAML of at most %d values, aliases written out, and %d levels, got more", maxNodes, maxNesting)
	}
	if err := c.step(parsed * weight); err != nil {
		return nil, err
	}
	data, err := sigsyaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("expected YAML: %w", err)
	}
	if err := c.produce(len(data)); err != nil {
		return nil, err
	}
	var v any
	return v, evidence.DecodeJSON(data, &v)
}

// weighing counts the values of a YAML tree with its aliases written out.
type weighing struct{ known map[*yaml.Node]int }

func (w *weighing) of(n *yaml.Node, depth int) int {
	const tooMuch = maxNodes + 1
	if weight, known := w.known[n]; known {
		return weight
	}
	if depth > maxNesting {
		return tooMuch
	}
	w.known[n] = tooMuch // for as long as it is being weighed: a node inside itself is endless
	weight := 1 + len(n.Value)/bytesPerStep
	if n.Alias != nil {
		weight += w.of(n.Alias, depth+1)
	}
	for _, child := range n.Content {
		if weight = min(weight+w.of(child, depth+1), tooMuch); weight == tooMuch {
			return tooMuch
		}
	}
	w.known[n] = weight
	return weight
}

// lookup returns an object's member or a list's element, null if it has none.
func lookup(c call) (any, error) {
	if object, is := c.args[0].(map[string]any); is {
		name, is := c.args[1].(string)
		if !is {
			return nil, errors.New("expected a name to look up in an object")
		}
		return object[name], nil
	}
	i, err := whole(c.args[1])
	if err != nil {
		return nil, err
	}
	if i < 0 {
		return nil, nil
	}
	return index(i, c.args[0]), nil
}

// items returns an object's or a list's elements as objects of their name, or
// index, and their value.
func items(c call) (any, error) {
	result := []any{}
	each := 2*stepsPerName + (len(c.string(1))+len(c.string(2)))/bytesPerStep // for the names of one
	if l, is := c.args[0].([]any); is {
		if err := c.step(each * len(l)); err != nil {
			return nil, err
		}
		for i, v := range l {
			result = append(result, map[string]any{c.string(1): int64(i), c.string(2): v})
		}
		return result, nil
	}
	object := c.object(0)
	if err := c.step(each * len(object)); err != nil {
		return nil, err
	}
	names, err := c.names(object)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		result = append(result, map[string]any{c.string(1): name, c.string(2): object[name]})
	}
	return result, nil
}

func objectFromLists(c call) (any, error) {
	names, values := c.list(0), c.list(1)
	if err := c.step(len(names)); err != nil {
		return nil, err
	}
	object := make(map[string]any, len(names))
	for i, n := range names {
		name, is := plain(n)
		if !is {
			return nil, errors.New("expected an array of names")
		}
		if err := c.naming(name); err != nil {
			return nil, err
		}
		object[name] = index(i, values)
	}
	return object, nil
}
