package workload_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/workload"
)

func FuzzRead(f *testing.F) {
	for _, given := range everyKind() {
		raw, err := json.Marshal(given.value)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	for _, s := range []string{
		pod(`{"containers":[{"name":"a","image":"b"}]}`), pod(`{"containers":[{"imag\u0065":"b"},null]}`), pod(`{"volumes":[{"image":{"reference":null}}]}`),
		deployment(`{"initContainers":[{"image":1}]}`), `{"kind":"List","items":[]}`, `null`, `[]`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := workload.Read(raw)
		if err != nil {
			var problem *evidence.Problem
			if !errors.As(err, &problem) || problem.Reason != evidence.MalformedObject && problem.Reason != evidence.UnknownKind {
				t.Fatalf("want MalformedObject or UnknownKind, got %v", err)
			}
			if len(o.Images) > 0 {
				t.Fatalf("want no images beside the error, got %v", o.Images)
			}
			if _, again := workload.Read(raw); again.Error() != err.Error() {
				t.Fatalf("want the same sentence each time, got %v and %v", err, again)
			}
			return
		}
		if !slices.Contains(workload.Kinds(), o.APIVersion+"/"+o.Kind) {
			t.Fatalf("read an object of kind %q", o.Kind)
		}
		checkPointers(t, raw, o)
		for i, image := range o.Images {
			if slices.ContainsFunc(o.Images[:i], func(other workload.Image) bool { return other.Pointer == image.Pointer }) {
				t.Fatalf("%s twice", image.Pointer)
			}
		}
		if want := countImages(raw); len(o.Images) < want {
			t.Fatalf("want at least the images of %d containers, got %v", want, o.Images)
		}
		if changed := workload.Changed(o, o); len(changed) != 0 {
			t.Fatalf("want an object unchanged from itself, got %v", changed)
		}
	})
}

// countImages counts the containers that name an image, in its own way.
func countImages(raw []byte) int {
	var root map[string]any
	if json.Unmarshal(raw, &root) != nil {
		return 0
	}
	kind, _ := root["kind"].(string)
	spec := root
	for name := range strings.SplitSeq(specPaths[kind], "/") {
		spec, _ = spec[name].(map[string]any)
	}
	n := 0
	for _, list := range []string{"initContainers", "containers", "ephemeralContainers"} {
		entries, _ := spec[list].([]any)
		for _, entry := range entries {
			if container, ok := entry.(map[string]any); ok && container["image"] != nil {
				n++
			}
		}
	}
	return n
}

var specPaths = map[string]string{
	"Pod": "spec", "PodTemplate": "template/spec", "CronJob": "spec/jobTemplate/spec/template/spec",
	"ReplicationController": "spec/template/spec", "ReplicaSet": "spec/template/spec", "Deployment": "spec/template/spec",
	"StatefulSet": "spec/template/spec", "DaemonSet": "spec/template/spec", "Job": "spec/template/spec",
}
