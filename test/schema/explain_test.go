package schema_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// TestEveryFieldIsExplained reads what kubectl explain reads: the API server's
// OpenAPI. Every field below a native kind says what it is for.
func TestEveryFieldIsExplained(t *testing.T) {
	schemas := published(t, cluster(t))
	for kind := range resources() {
		t.Run(kind, func(t *testing.T) {
			schema := schemas["dev.bonafide.v1alpha1."+kind]
			description, _ := schema["description"].(string)
			if !strings.HasPrefix(description, kind+" ") {
				t.Errorf("want a description that begins with the kind, got %q", description)
			}
			if fields := explained(t, schema, ""); fields < 10 {
				t.Errorf("want fields, got %d", fields)
			}
		})
	}
}

// published waits until the API server has published the schemas of all kinds,
// some time after it served them.
func published(t *testing.T, c *rig.Cluster) map[string]map[string]any {
	t.Helper()
	var document struct {
		Components struct {
			Schemas map[string]map[string]any `json:"schemas"`
		} `json:"components"`
	}
	ctx, cancel := context.WithTimeout(t.Context(), takeUpTimeout)
	defer cancel()
	err := rig.Poll(ctx, func(ctx context.Context) error {
		content, err := c.Client.Discovery().RESTClient().Get().AbsPath("/openapi/v3/apis/"+v1alpha1.GroupVersion).
			SetHeader("Accept", "application/json").DoRaw(ctx)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(content, &document); err != nil {
			return err
		}
		for kind := range resources() {
			if document.Components.Schemas["dev.bonafide.v1alpha1."+kind] == nil {
				return fmt.Errorf("expected the schema of %s, got none", kind)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return document.Components.Schemas
}

// explained checks the fields below a schema and counts them. Those of the
// metadata that every object has are the API server's to describe.
func explained(t *testing.T, schema any, path string) int {
	t.Helper()
	var count int
	properties, _ := at(schema, "properties").(map[string]any)
	for name, property := range properties {
		count++
		field := strings.TrimPrefix(path+"."+name, ".")
		if description, _ := at(property, "description").(string); len(strings.Fields(description)) < 3 {
			t.Errorf("%s: want a description, got %q", field, description)
		}
		count += explained(t, property, field) + explained(t, at(property, "items"), field+"[]")
	}
	return count
}
