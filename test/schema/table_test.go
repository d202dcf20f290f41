package schema_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

const shortPolicy = `
apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata: {name: columns}
spec:
  images: [registry.example.com/**]
  signers: [{name: release, sigstore: {key: {secretRef: {namespace: bonafide-system, name: release}}}}]
  require: [{signature: {anyOf: [release]}}]
`

const shortNamespaced = `
apiVersion: bonafide.dev/v1alpha1
kind: VerificationPolicy
metadata: {name: columns, namespace: default}
spec:
  images: [registry.example.com/**]
  mode: Audit
  signers: [{name: release, sigstore: {key: {secretRef: {name: release}}}}]
  require: [{signature: {anyOf: [release]}}]
`

// TestColumns asks for the tables that kubectl get prints: the column of each
// name, before and after the controller has written the status.
func TestColumns(t *testing.T) {
	c := cluster(t)
	tests := map[string]struct {
		object      string
		fresh, then map[string]any
	}{
		"ClusterVerificationPolicy": {
			object: shortPolicy,
			fresh:  map[string]any{"Name": "columns", "Mode": "Enforce", "Ready": nil, "Reason": nil, "Matched": nil, "Denied": nil},
			then:   map[string]any{"Name": "columns", "Mode": "Enforce", "Ready": "True", "Reason": "InForce", "Matched": 12.0, "Denied": 3.0},
		},
		"VerificationPolicy": {
			object: shortNamespaced,
			fresh:  map[string]any{"Name": "columns", "Mode": "Audit", "Ready": nil, "Reason": nil, "Matched": nil, "Denied": nil},
			then:   map[string]any{"Name": "columns", "Mode": "Audit", "Ready": "True", "Reason": "InForce", "Matched": 12.0, "Denied": 3.0},
		},
		"VerificationException": {
			object: strings.Replace(wholeException, "misspelled", "columns", 1),
			fresh:  map[string]any{"Name": "columns", "Expires": "2026-01-31T18:00:00Z", "BreakGlass": nil, "Ready": nil, "State": nil, "Reason": "the vendor signs from 4.2 on"},
			then:   map[string]any{"Name": "columns", "Expires": "2026-01-31T18:00:00Z", "BreakGlass": nil, "Ready": "True", "State": "InForce", "Reason": "the vendor signs from 4.2 on"},
		},
		"ImageDenyList": {
			object: strings.Replace(wholeList, "misspelled", "columns", 1),
			fresh:  map[string]any{"Name": "columns", "Ready": nil, "Reason": "published with a stolen token"},
			then:   map[string]any{"Name": "columns", "Ready": "True", "Reason": "published with a stolen token"},
		},
	}
	for kind, tc := range tests {
		t.Run(kind, func(t *testing.T) {
			object := decode(t, tc.object)
			if _, err := client(t, c, object).Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			remove(t, c, object)
			if diff := cmp.Diff(tc.fresh, row(t, c, kind)); diff != "" {
				t.Errorf("without a status (-want +got):\n%s", diff)
			}
			withStatus(t, c, object)
			if diff := cmp.Diff(tc.then, row(t, c, kind)); diff != "" {
				t.Errorf("with a status (-want +got):\n%s", diff)
			}
		})
	}
}

// row returns the only row of a kind's table, without the age, which moves.
func row(t *testing.T, c *rig.Cluster, kind string) map[string]any {
	t.Helper()
	content, err := c.Client.Discovery().RESTClient().Get().AbsPath("/apis/"+v1alpha1.GroupVersion+"/"+resources()[kind]).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var table metav1.Table
	if err := json.Unmarshal(content, &table); err != nil || len(table.Rows) != 1 {
		t.Fatalf("want a table with one row, got %s: %v", content, err)
	}
	cells := map[string]any{}
	for i, column := range table.ColumnDefinitions {
		cells[column.Name] = table.Rows[0].Cells[i]
	}
	if age, is := cells["Age"].(string); !is || age == "" {
		t.Errorf("want an age, got %v", cells["Age"])
	}
	delete(cells, "Age")
	return cells
}

// TestNames looks at what people type.
func TestNames(t *testing.T) {
	c := cluster(t)
	list, err := c.Client.Discovery().ServerResourcesForGroupVersion(v1alpha1.GroupVersion)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, r := range list.APIResources {
		if strings.HasSuffix(r.Name, "/status") {
			got[r.Name] = r.Verbs
			continue
		}
		got[r.Name] = append(r.ShortNames, r.Categories...)
	}
	status := []string{"get", "patch", "update"}
	want := map[string][]string{
		"clusterverificationpolicies": {"cvp", "bonafide"}, "clusterverificationpolicies/status": status,
		"verificationpolicies": {"vp", "bonafide"}, "verificationpolicies/status": status,
		"verificationexceptions": {"vexc", "bonafide"}, "verificationexceptions/status": status,
		"imagedenylists": {"idl", "bonafide"}, "imagedenylists/status": status,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
