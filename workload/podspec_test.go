package workload_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	schedulingv1alpha2 "k8s.io/api/scheduling/v1alpha2"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/bonafide-dev/bonafide/workload"
)

// Why a field that may name an image is as it is.
const (
	isRead     = "an image that Read returns"
	pullPolicy = "when to pull"
	secretName = "the name of a Secret"
	blockImage = "a block device of a Ceph pool; nothing is pulled from a registry"
	notAnImage = "strings without a meaning for images"
)

// suspects are the fields of a Pod's spec that might name an image: strings with
// "image", "reference" or "artifact" in the names on their way, and strings
// whose meaning somebody else defines.
var suspects = map[string]string{
	"containers.image":                                         isRead,
	"containers.imagePullPolicy":                               pullPolicy,
	"initContainers.image":                                     isRead,
	"initContainers.imagePullPolicy":                           pullPolicy,
	"ephemeralContainers.image":                                isRead,
	"ephemeralContainers.imagePullPolicy":                      pullPolicy,
	"imagePullSecrets.name":                                    secretName,
	"volumes.image.reference":                                  isRead,
	"volumes.image.pullPolicy":                                 pullPolicy,
	"volumes.rbd.image":                                        blockImage,
	"volumes.csi.volumeAttributes":                             isRead + ", of drivers that mount images",
	"volumes.flexVolume.options":                               "deprecated; no driver is known that mounts an image",
	"nodeSelector":                                             notAnImage,
	"volumes.projected.sources.podCertificate.userAnnotations": "for the signer of a certificate",
}

func TestR43EveryImageFieldOfAPodSpecIsKnown(t *testing.T) {
	found := map[string]bool{}
	walkFields(t, reflect.TypeFor[corev1.PodSpec](), nil, func(path []string, field reflect.Type) {
		if name := strings.Join(path, "."); suspicious(name, field) {
			found[name] = true
		}
	})
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if suspects[name] == "" {
			t.Errorf("%s may name an image: have Read return it, or say here why not", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(suspects)) {
		if !found[name] {
			t.Errorf("%s is no field any more", name)
		}
	}
	if len(found) == 0 {
		t.Error("nothing was found: the walk is broken")
	}
}

// settled are maps that hold no image although their names say nothing: their
// meaning is fixed by Kubernetes.
var settled = []string{".labels", ".matchLabels", ".annotations"}

func suspicious(name string, field reflect.Type) bool {
	if field.Kind() == reflect.Map {
		return !slices.ContainsFunc(settled, func(suffix string) bool { return strings.HasSuffix(name, suffix) })
	}
	name = strings.NewReplacer("preference", "", "ownerreferences", "").Replace(strings.ToLower(name))
	return strings.Contains(name, "image") || strings.Contains(name, "reference") || strings.Contains(name, "artifact")
}

// walkFields visits every string, and every map of strings, that JSON can carry
// for a type, with the names on the way to it.
func walkFields(t *testing.T, of reflect.Type, path []string, visit func([]string, reflect.Type)) {
	t.Helper()
	if len(path) > 20 {
		t.Fatalf("%q: the type is recursive", path)
	}
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		walkFields(t, of.Elem(), path, visit)
	case reflect.String:
		visit(path, of)
	case reflect.Map:
		if of.Elem().Kind() == reflect.String || of.Elem().Kind() == reflect.Interface {
			visit(path, of)
			return
		}
		walkFields(t, of.Elem(), path, visit)
	case reflect.Interface:
		t.Errorf("%q may hold anything", path)
	case reflect.Struct:
		for field := range of.Fields() {
			if !field.IsExported() {
				continue
			}
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			next := path
			if name != "" {
				next = append(slices.Clone(path), name)
			}
			walkFields(t, field.Type, next, visit)
		}
	}
}

func TestR43EveryKindWithAPodSpecIsRead(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme, policyv1.AddToScheme, schedulingv1alpha2.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	var holders []string
	for kind, of := range scheme.AllKnownTypes() {
		if !strings.HasSuffix(kind.Kind, "List") && holds(of, reflect.TypeFor[corev1.PodSpec](), 10) {
			holders = append(holders, kind.GroupVersion().String()+"/"+kind.Kind)
		}
	}
	slices.Sort(holders)
	if got := workload.Kinds(); !slices.Equal(got, holders) {
		t.Errorf("want the kinds that hold a Pod's spec, %q, got %q", holders, got)
	}
}

func holds(of, wanted reflect.Type, depth int) bool {
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return holds(of.Elem(), wanted, depth)
	case reflect.Struct:
		if of == wanted {
			return true
		}
		for field := range of.Fields() {
			if depth > 0 && field.IsExported() && holds(field.Type, wanted, depth-1) {
				return true
			}
		}
	}
	return false
}
