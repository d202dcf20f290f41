package jmes

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ParseBlocks reads conditions from decoded YAML or JSON: one block of any and
// all, a list of such blocks, or, as it was once written, a list of tests that
// must all hold. An unknown field is an error that names the nearest; absent
// conditions (nil) are no blocks.
func ParseBlocks(raw any) ([]Block, error) {
	switch x := raw.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		b, err := parseBlock(x)
		if err != nil {
			return nil, err
		}
		return []Block{b}, nil
	case []any:
		return parseList(x)
	}
	return nil, fmt.Errorf("expected conditions, got %s", typeOf(raw))
}

func parseList(list []any) ([]Block, error) {
	if len(list) > maxTests {
		return nil, fmt.Errorf("expected at most %d conditions, got %d", maxTests, len(list))
	}
	var blocks []Block
	var tests []Test
	for i, element := range list {
		fields, is := element.(map[string]any)
		if !is {
			return nil, fmt.Errorf("[%d]: expected a condition, got %s", i, typeOf(element))
		}
		_, anyOf := fields["any"]
		_, allOf := fields["all"]
		if !anyOf && !allOf {
			t, err := parseTest(fields)
			if err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
			tests = append(tests, t)
			continue
		}
		b, err := parseBlock(fields)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		blocks = append(blocks, b)
	}
	if len(tests) > 0 && len(blocks) > 0 {
		return nil, errors.New("expected either blocks of any and all or a list of conditions, got both")
	}
	if len(tests) > 0 {
		return []Block{{All: tests}}, nil
	}
	return blocks, nil
}

func parseBlock(fields map[string]any) (Block, error) {
	if err := known(fields, "any", "all"); err != nil {
		return Block{}, err
	}
	var b Block
	var err error
	if b.Any, err = parseTests(fields["any"]); err != nil {
		return b, fmt.Errorf("any%w", err)
	}
	if b.All, err = parseTests(fields["all"]); err != nil {
		return b, fmt.Errorf("all%w", err)
	}
	return b, nil
}

// parseTests returns nil for what is absent and an empty list for an empty one.
func parseTests(raw any) ([]Test, error) {
	if raw == nil {
		return nil, nil
	}
	list, is := raw.([]any)
	if !is {
		return nil, fmt.Errorf(": expected a list of conditions, got %s", typeOf(raw))
	}
	if len(list) > maxTests {
		return nil, fmt.Errorf(": expected at most %d conditions, got %d", maxTests, len(list))
	}
	tests := make([]Test, 0, len(list))
	for i, element := range list {
		fields, is := element.(map[string]any)
		if !is {
			return nil, fmt.Errorf("[%d]: expected a condition, got %s", i, typeOf(element))
		}
		t, err := parseTest(fields)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		tests = append(tests, t)
	}
	return tests, nil
}

func parseTest(fields map[string]any) (Test, error) {
	if err := known(fields, "key", "operator", "value", "message"); err != nil {
		return Test{}, err
	}
	for _, name := range [...]string{"key", "operator", "value"} {
		if fields[name] == nil {
			return Test{}, fmt.Errorf("expected %q, got none", name)
		}
	}
	t := Test{Key: fields["key"], Value: fields["value"]}
	var is bool
	if t.Operator, is = fields["operator"].(string); !is {
		return t, fmt.Errorf("operator: expected a string, got %s", typeOf(fields["operator"]))
	}
	if message := fields["message"]; message != nil {
		if t.Message, is = message.(string); !is {
			return t, fmt.Errorf("message: expected a string, got %s", typeOf(message))
		}
	}
	return t, nil
}

// known refuses fields of other names.
func known(fields map[string]any, names ...string) error {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(names, name) {
			return fmt.Errorf("unknown field %q%s", clip(name, maxShown), meant(name, names))
		}
	}
	return nil
}
