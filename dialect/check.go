package dialect

import (
	"fmt"
	"iter"

	"go.yaml.in/yaml/v3"
)

// checker makes a parsed document safe to walk: bounded, without aliases,
// without duplicate keys and without the corners of YAML that JSON lacks.
type checker struct {
	file   string
	left   int // nodes that may still be visited
	failed Errors
}

// check returns the node with every alias below it replaced by what it names.
// A node that is named twice is then shared, never a cycle.
func (c *checker) check(n *yaml.Node, path string, depth int) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if c.left--; c.left < 0 || depth > maxDepth {
		c.bound(n, depth)
		return n
	}
	if !plainTag(n) {
		c.errorf(n, path, "expected a value without a tag, got the tag %q", Clip(n.Tag))
		return n
	}
	switch n.Kind {
	case yaml.MappingNode:
		c.mapping(n, path, depth)
	case yaml.SequenceNode:
		for i := range n.Content {
			n.Content[i] = c.check(n.Content[i], At(path, i), depth+1)
		}
	}
	return n
}

func (c *checker) mapping(n *yaml.Node, path string, depth int) {
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := c.check(n.Content[i], path, depth+1)
		n.Content[i] = key
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
			message := "expected a name, got " + describe(key)
			if key.ShortTag() == "!!merge" {
				message = "expected a field, got the merge key \"<<\", which is not read: write the fields out"
			}
			c.errorf(key, path, "%s", message)
			continue
		}
		field := join(path, key.Value)
		if line, twice := seen[key.Value]; twice {
			c.errorf(key, field, "expected each field once, got it again; it was first set in line %d", line)
		}
		seen[key.Value] = key.Line
		n.Content[i+1] = c.check(n.Content[i+1], field, depth+1)
	}
}

// bound reports once that a bound was crossed: every sibling would cross it
// again.
func (c *checker) bound(n *yaml.Node, depth int) {
	message := fmt.Sprintf("expected at most %d values, aliases written out, got more", maxNodes)
	if depth > maxDepth {
		message = fmt.Sprintf("expected at most %d levels, got more", maxDepth)
	}
	if c.left > -maxNodes {
		c.errorf(n, "", "%s", message)
	}
	c.left = -maxNodes - 1
}

func (c *checker) errorf(n *yaml.Node, path, format string, args ...any) {
	if len(c.failed) <= maxErrors {
		c.failed = append(c.failed, &Error{File: c.file, Line: n.Line, Path: Clip(path), Message: fmt.Sprintf(format, args...)})
	}
}

// plainTag reports whether the node's tag is one that JSON could have.
func plainTag(n *yaml.Node) bool {
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!merge":
		return n.Kind == yaml.ScalarNode
	case "!!map":
		return n.Kind == yaml.MappingNode
	case "!!seq":
		return n.Kind == yaml.SequenceNode
	}
	return false
}

// fields yields the keys and values of a mapping, and nothing of another node.
func fields(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// describe says what a node is without repeating its value, which may be
// secret.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "an object"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!str", "!!timestamp":
		return "a string"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a boolean"
	case "!!null":
		return "nothing"
	}
	return "a value with a tag"
}
