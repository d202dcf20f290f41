package workload_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/workload"
)

func TestR42ChangedImages(t *testing.T) {
	const old = `{"initContainers":[{"name":"init","image":"i:1"}],"containers":[{"name":"app","image":"a:1"},{"name":"side","image":"s:1"}],` +
		`"ephemeralContainers":[{"name":"debug","image":"d:1"}],"volumes":[{"name":"model","image":{"reference":"m:1"}},` +
		`{"name":"warm","csi":{"driver":"image.csi.k8s.io","volumeAttributes":{"image":"w:1"}}}]}`
	cases := map[string]struct {
		reason string
		spec   string
		want   []string // pointers
	}{
		"Same":       {"nothing changed", old, nil},
		"Reordered":  {"the order of a list says nothing", `{"containers":[{"name":"side","image":"s:1"},{"name":"app","image":"a:1"}]}`, nil},
		"Reference":  {"another image", `{"containers":[{"name":"app","image":"a:2"},{"name":"side","image":"s:1"}]}`, []string{"/spec/containers/0/image"}},
		"Spelling":   {"another spelling is not byte-equal", `{"containers":[{"name":"app","image":"docker.io/library/a:1"}]}`, []string{"/spec/containers/0/image"}},
		"Name":       {"another container", `{"containers":[{"name":"new","image":"a:1"}]}`, []string{"/spec/containers/0/image"}},
		"Swapped":    {"containers trade their images", `{"containers":[{"name":"app","image":"s:1"},{"name":"side","image":"a:1"}]}`, []string{"/spec/containers/0/image", "/spec/containers/1/image"}},
		"List":       {"an image moves to another list", `{"initContainers":[{"name":"app","image":"a:1"}]}`, []string{"/spec/initContainers/0/image"}},
		"Added":      {"an image is added", `{"containers":[{"name":"app","image":"a:1"},{"name":"x","image":"x:1"}]}`, []string{"/spec/containers/1/image"}},
		"Removed":    {"an image is removed", `{"containers":[{"name":"app","image":"a:1"}]}`, nil},
		"Ephemeral":  {"the subresource adds one", `{"ephemeralContainers":[{"name":"debug","image":"d:1"},{"name":"again","image":"d:1"}]}`, []string{"/spec/ephemeralContainers/1/image"}},
		"Volume":     {"image volumes are images", `{"volumes":[{"name":"model","image":{"reference":"m:2"}}]}`, []string{"/spec/volumes/0/image/reference"}},
		"VolumeName": {"image volumes are images", `{"volumes":[{"name":"other","image":{"reference":"m:1"}}]}`, []string{"/spec/volumes/0/image/reference"}},
		"CSI":        {"a driver's volumes are images", `{"volumes":[{"name":"warm","csi":{"driver":"image.csi.k8s.io","volumeAttributes":{"image":"w:2"}}}]}`, []string{"/spec/volumes/0/csi/volumeAttributes/image"}},
		"Duplicate":  {"one stored image frees one", `{"containers":[{"name":"app","image":"a:1"},{"name":"app","image":"a:1"}]}`, []string{"/spec/containers/1/image"}},
		"Emptied":    {"a missing image is a change", `{"containers":[{"name":"app"}]}`, []string{"/spec/containers/0/image"}},
	}
	stored := read(t, pod(old))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, image := range workload.Changed(stored, read(t, pod(c.spec))) {
				got = append(got, image.Pointer)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", c.reason, diff)
			}
		})
	}
}

func TestR42NothingIsFreedWithoutAnOldObject(t *testing.T) {
	object := read(t, pod(`{"containers":[{"name":"a","image":"a"}]}`))
	if diff := cmp.Diff(object.Images, workload.Changed(workload.Object{}, object)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestR42NoMarkFreesAnImage(t *testing.T) {
	const meta = `"metadata":{"annotations":{"kubernetes.io/config.mirror":"x","bonafide.dev/verified":"true"},` +
		`"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"r","uid":"u","controller":true}]}`
	stored := read(t, `{"apiVersion":"v1","kind":"Pod",`+meta+`,"spec":{"containers":[{"name":"a","image":"a:1"}]}}`)
	object := read(t, `{"apiVersion":"v1","kind":"Pod",`+meta+`,"spec":{"containers":[{"name":"a","image":"a:2"}]}}`)
	if changed := workload.Changed(stored, object); len(changed) != 1 {
		t.Errorf("want the image decided, got %v", changed)
	}
}
