package audit_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/internal/kube/audit"
)

var hex = strings.Repeat("0123456789abcdef", 4)

func TestRunningDigest(t *testing.T) {
	cases := map[string]struct {
		reason, imageID string
		want            string // empty: unknown
	}{
		"Repository":    {reason: "as containerd and CRI-O tell it", imageID: "registry.example/app@sha256:" + hex, want: "sha256:" + hex},
		"Pullable":      {reason: "as Docker tells what was pulled", imageID: "docker-pullable://registry.example/app@sha256:" + hex, want: "sha256:" + hex},
		"Longer":        {reason: "the other registered algorithm", imageID: "registry.example/app@sha512:" + hex + hex, want: "sha512:" + hex + hex},
		"Empty":         {reason: "nothing was pulled yet", imageID: ""},
		"Configuration": {reason: "as CRI-O tells the image's configuration", imageID: "sha256:" + hex},
		"Docker":        {reason: "as Docker tells what was built on the node", imageID: "docker://sha256:" + hex},
		"BareHex":       {reason: "an image ID without algorithm", imageID: hex},
		"Tag":           {reason: "no digest", imageID: "registry.example/app:v1"},
		"Short":         {reason: "too short", imageID: "registry.example/app@sha256:" + hex[1:]},
		"Upper":         {reason: "upper case is another spelling, which nobody writes", imageID: "registry.example/app@sha256:" + strings.ToUpper(hex)},
		"Algorithm":     {reason: "an algorithm that nobody registered", imageID: "registry.example/app@md5:" + hex[:32]},
		"Twice":         {reason: "two digests: which one runs is not told", imageID: "registry.example/app@sha256:" + hex + "@sha256:" + hex},
		"Space":         {reason: "something follows", imageID: "registry.example/app@sha256:" + hex + " "},
		"OnlyAt":        {reason: "nothing follows", imageID: "@"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, known := audit.RunningDigest(c.imageID)
			if got.String() != c.want || known != (c.want != "") {
				t.Errorf("%s: want %q, got %q, %t", c.reason, c.want, got, known)
			}
		})
	}
}

func TestImageIDsOfMalformedStatuses(t *testing.T) {
	cases := map[string]struct {
		reason, status string
		want           map[string]string
	}{
		"Lists": {
			reason: "every list, by name", status: `{"containerStatuses":[{"name":"a","imageID":"x"}],"initContainerStatuses":[{"name":"a","imageID":"y"}],"ephemeralContainerStatuses":[{"name":"b","imageID":"z"}]}`,
			want: map[string]string{"containers/a": "x", "initContainers/a": "y", "ephemeralContainers/b": "z"},
		},
		"NoList":   {reason: "not a list", status: `{"containerStatuses":{"name":"a"}}`, want: map[string]string{}},
		"NoObject": {reason: "entries that are no objects", status: `{"containerStatuses":["a",1,null,{"name":"a","imageID":"x"}]}`, want: map[string]string{"containers/a": "x"}},
		"NoText":   {reason: "values that are no text", status: `{"containerStatuses":[{"name":1,"imageID":"x"},{"name":"a","imageID":{}}]}`, want: map[string]string{}},
		"Missing":  {reason: "neither name nor image", status: `{"containerStatuses":[{"imageID":"x"},{"name":"a"}]}`, want: map[string]string{}},
		"NoStatus": {reason: "not an object", status: `"Running"`, want: map[string]string{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var root map[string]any
			if err := json.Unmarshal([]byte(`{"status":`+c.status+`}`), &root); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, audit.ImageIDs(root)); diff != "" {
				t.Errorf("%s: (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func FuzzRunningDigest(f *testing.F) {
	for _, seed := range []string{"", "@", "sha256:" + hex, "a@sha256:" + hex, "docker-pullable://a/b@sha256:" + hex, "docker://sha256:" + hex, "a@b@sha256:" + hex, "a@sha512:" + hex} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, imageID string) {
		digest, known := audit.RunningDigest(imageID)
		if known == digest.IsZero() {
			t.Fatalf("%q: want a digest exactly if it is known, got %q, %t", imageID, digest, known)
		}
		if known && (!strings.HasSuffix(imageID, "@"+digest.String()) || strings.Count(imageID, "@") != 1) {
			t.Fatalf("%q: want its one digest, got %q", imageID, digest)
		}
	})
}

func FuzzImageIDs(f *testing.F) {
	for _, seed := range []string{`{}`, `{"status":1}`, `{"status":{"containerStatuses":[{"name":"a","imageID":"x"},null]}}`, `{"status":{"initContainerStatuses":[[]]}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var root map[string]any
		if json.Unmarshal(raw, &root) != nil {
			return
		}
		for place, id := range audit.ImageIDs(root) {
			if list, name, found := strings.Cut(place, "/"); !found || list == "" || name == "" || id == "" {
				t.Fatalf("want a list, a name and an ID, got %q: %q", place, id)
			}
		}
	})
}
