package install_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// A value is one value of the chart and what its comment says.
type value struct {
	path, preset, text string
}

// readValues reads values.yaml: a key with a comment is a value, a key without
// one holds values.
func readValues(t *testing.T) []value {
	t.Helper()
	var document yamlv3.Node
	if err := yamlv3.Unmarshal(read(t, chart, "values.yaml"), &document); err != nil {
		t.Fatal(err)
	}
	return valuesBelow(t, "", document.Content[0])
}

func valuesBelow(t *testing.T, prefix string, node *yamlv3.Node) []value {
	t.Helper()
	var all []value
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, content := node.Content[i], node.Content[i+1]
		path := prefix + key.Value
		text := comment(key)
		switch {
		case text != "":
			var preset any
			if err := content.Decode(&preset); err != nil {
				t.Fatal(err)
			}
			printed, err := json.Marshal(preset)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, value{path: path, preset: string(printed), text: text})
		case content.Kind == yamlv3.MappingNode && len(content.Content) > 0:
			all = append(all, valuesBelow(t, path+".", content)...)
		default:
			t.Errorf("values.yaml: expected a comment above %q, got none", path)
		}
	}
	return all
}

// comment joins the lines above a key; those before an empty line are not its own.
func comment(key *yamlv3.Node) string {
	blocks := strings.Split(key.HeadComment, "\n\n")
	var words []string
	for line := range strings.Lines(blocks[len(blocks)-1]) {
		words = append(words, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "#")))
	}
	return strings.TrimSpace(strings.Join(words, " "))
}

func read(t *testing.T, place ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(place...))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Markers of the generated part of the chart's README.
const (
	valuesBegin = "<!-- values: generated from values.yaml -->\n"
	valuesEnd   = "<!-- end of values -->\n"
)

func TestREADMEHoldsEveryValue(t *testing.T) {
	file := filepath.Join(chart, "README.md")
	before, rest, found := strings.Cut(string(read(t, file)), valuesBegin)
	_, after, closed := strings.Cut(rest, valuesEnd)
	if !found || !closed {
		t.Fatalf("%s: expected the lines %q and %q", file, valuesBegin, valuesEnd)
	}
	var table strings.Builder
	table.WriteString("\n| value | default | what |\n|---|---|---|\n")
	for _, v := range readValues(t) {
		fmt.Fprintf(&table, "| `%s` | `%s` | %s |\n", v.path, v.preset, strings.ReplaceAll(v.text, "|", `\|`))
	}
	golden(t, file, before+valuesBegin+table.String()+"\n"+valuesEnd+after)
}

// TestSchemaKnowsEveryValueAndNoOther: a misspelt value must not be ignored.
func TestSchemaKnowsEveryValueAndNoOther(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(read(t, chart, "values.schema.json"), &schema); err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(read(t, chart, "values.yaml"), &values); err != nil {
		t.Fatal(err)
	}
	values["global"] = map[string]any{} // Helm's own
	sameKeys(t, "", schema, values)
}

// sameKeys compares the schema's properties with what values.yaml holds. An
// object without properties is Kubernetes' own, or labels.
func sameKeys(t *testing.T, path string, schema, values map[string]any) {
	t.Helper()
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return
	}
	if schema["additionalProperties"] != false {
		t.Errorf("%q: want additionalProperties false, got %v", path, schema["additionalProperties"])
	}
	want, got := slices.Sorted(maps.Keys(values)), slices.Sorted(maps.Keys(properties))
	if !slices.Equal(want, got) {
		t.Errorf("%q: want the schema to know %q, got %q", path, want, got)
	}
	for name, property := range properties {
		inner, isObject := property.(map[string]any)
		below, isMap := values[name].(map[string]any)
		if isObject && isMap {
			sameKeys(t, path+"/"+name, inner, below)
		}
	}
}
