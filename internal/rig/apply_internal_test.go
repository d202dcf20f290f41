package rig

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestDecodeReadsEveryDocument(t *testing.T) {
	objects, err := decode([][]byte{[]byte("\n---\n# nothing\n---\nkind: A\nmetadata: {name: a}\n---\nkind: B\nmetadata: {name: b}\n"), []byte(`{"kind":"C","metadata":{"name":"c"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, object := range objects {
		got = append(got, nameOf(object))
	}
	if diff := cmp.Diff([]string{"A a", "B b", "C c"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if objects, err := decode([][]byte{[]byte("kind: [")}); err == nil {
		t.Errorf("want an error, got %v", objects)
	}
}

func TestTakenUpAsksTheStatus(t *testing.T) {
	pod := func(fields map[string]any) []any { return []any{fields} }
	cases := map[string]struct {
		reason string
		byPod  []any
		want   bool
	}{
		"None":       {reason: "nobody has seen it"},
		"Enforced":   {reason: "a constraint in force", byPod: pod(map[string]any{"observedGeneration": int64(2), "enforced": true}), want: true},
		"Active":     {reason: "a provider in use", byPod: pod(map[string]any{"observedGeneration": int64(2), "active": true}), want: true},
		"Template":   {reason: "a template has neither word", byPod: pod(map[string]any{"observedGeneration": int64(2)}), want: true},
		"Older":      {reason: "an earlier version was seen", byPod: pod(map[string]any{"observedGeneration": int64(1), "enforced": true})},
		"Unenforced": {reason: "seen, and not in force", byPod: pod(map[string]any{"observedGeneration": int64(2), "enforced": false})},
		"Errors":     {reason: "seen, and wrong", byPod: pod(map[string]any{"observedGeneration": int64(2), "errors": []any{map[string]any{"message": "no"}}})},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"byPod": tc.byPod}}}
			object.SetGeneration(2)
			if err := takenUp(object); (err == nil) != tc.want {
				t.Errorf("%s: want taken up: %t, got %v", tc.reason, tc.want, err)
			}
		})
	}
}

func TestConditionHoldsAsksForTrue(t *testing.T) {
	for status, want := range map[string]bool{"True": true, "False": false, "Unknown": false} {
		object := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": status}}}}}
		if err := conditionHolds("Ready")(object); (err == nil) != want {
			t.Errorf("%s: want it to hold: %t, got %v", status, want, err)
		}
		if err := conditionHolds("Established")(object); err == nil {
			t.Error("a condition that is not there: want an error")
		}
	}
}
