package workload_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/workload"
)

// everyPlace is a Pod's spec that names an image in every place that can.
func everyPlace() corev1.PodSpec {
	csi := func(name, driver, attribute, image string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			CSI: &corev1.CSIVolumeSource{Driver: driver, VolumeAttributes: map[string]string{attribute: image, "other": "registry.example/not-an-image"}},
		}}
	}
	return corev1.PodSpec{
		ServiceAccountName: "builder",
		ImagePullSecrets:   []corev1.LocalObjectReference{{Name: "first"}, {Name: "second"}},
		InitContainers:     []corev1.Container{{Name: "init", Image: "registry.example/init:1"}, {Name: "sidecar", Image: "registry.example/sidecar"}},
		Containers:         []corev1.Container{{Name: "app", Image: "registry.example/app:1"}, {Name: "same", Image: "registry.example/app:1"}},
		EphemeralContainers: []corev1.EphemeralContainer{
			{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "registry.example/debug"}},
		},
		Volumes: []corev1.Volume{
			{Name: "none", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			{Name: "model", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "registry.example/model:1"}}},
			csi("warm", "csi-image.warm-metal.tech", "image", "registry.example/warm"),
			csi("renamed", "container-image.csi.k8s.io", "image", "registry.example/renamed"),
			csi("populated", "image.csi.k8s.io", "image", "registry.example/populated"),
			csi("packed", "model.csi.modelpack.org", "model.csi.modelpack.org/reference", "registry.example/packed"),
			csi("secrets", "secrets-store.csi.k8s.io", "image", "registry.example/not-an-image"),
			{Name: "ceph", VolumeSource: corev1.VolumeSource{RBD: &corev1.RBDVolumeSource{RBDImage: "registry.example/not-an-image"}}},
		},
	}
}

// imagesAt are the images of everyPlace when it is at prefix.
func imagesAt(prefix string) []workload.Image {
	return []workload.Image{
		{Name: "init", List: "initContainers", Pointer: prefix + "/initContainers/0/image", Ref: "registry.example/init:1"},
		{Name: "sidecar", List: "initContainers", Pointer: prefix + "/initContainers/1/image", Ref: "registry.example/sidecar"},
		{Name: "app", List: "containers", Pointer: prefix + "/containers/0/image", Ref: "registry.example/app:1"},
		{Name: "same", List: "containers", Pointer: prefix + "/containers/1/image", Ref: "registry.example/app:1"},
		{Name: "debug", List: "ephemeralContainers", Pointer: prefix + "/ephemeralContainers/0/image", Ref: "registry.example/debug"},
		{Name: "model", List: "volumes", Pointer: prefix + "/volumes/1/image/reference", Ref: "registry.example/model:1"},
		{Name: "warm", List: "volumes", Pointer: prefix + "/volumes/2/csi/volumeAttributes/image", Ref: "registry.example/warm"},
		{Name: "renamed", List: "volumes", Pointer: prefix + "/volumes/3/csi/volumeAttributes/image", Ref: "registry.example/renamed"},
		{Name: "populated", List: "volumes", Pointer: prefix + "/volumes/4/csi/volumeAttributes/image", Ref: "registry.example/populated"},
		{Name: "packed", List: "volumes", Pointer: prefix + "/volumes/5/csi/volumeAttributes/model.csi.modelpack.org~1reference", Ref: "registry.example/packed"},
	}
}

// object is a kind's object that holds everyPlace at prefix.
type object struct {
	value  any
	prefix string
}

// everyKind returns an object of each kind that Read reads, by Kinds' names.
func everyKind() map[string]object {
	typed := func(apiVersion, kind string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}
	}
	meta := metav1.ObjectMeta{
		Name: "app", Namespace: "team-a", Labels: map[string]string{"app": "a/b~c"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "owner", UID: "u", Controller: new(true)}},
	}
	template := corev1.PodTemplateSpec{Spec: everyPlace()}
	const nested = "/spec/template/spec"
	return map[string]object{
		"v1/Pod":         {corev1.Pod{TypeMeta: typed("v1", "Pod"), ObjectMeta: meta, Spec: everyPlace()}, "/spec"},
		"v1/PodTemplate": {corev1.PodTemplate{TypeMeta: typed("v1", "PodTemplate"), ObjectMeta: meta, Template: template}, "/template/spec"},
		"v1/ReplicationController": {corev1.ReplicationController{
			TypeMeta: typed("v1", "ReplicationController"), ObjectMeta: meta, Spec: corev1.ReplicationControllerSpec{Template: &template}}, nested},
		"apps/v1/ReplicaSet":  {appsv1.ReplicaSet{TypeMeta: typed("apps/v1", "ReplicaSet"), ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{Template: template}}, nested},
		"apps/v1/Deployment":  {appsv1.Deployment{TypeMeta: typed("apps/v1", "Deployment"), ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Template: template}}, nested},
		"apps/v1/StatefulSet": {appsv1.StatefulSet{TypeMeta: typed("apps/v1", "StatefulSet"), ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Template: template}}, nested},
		"apps/v1/DaemonSet":   {appsv1.DaemonSet{TypeMeta: typed("apps/v1", "DaemonSet"), ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Template: template}}, nested},
		"batch/v1/Job":        {batchv1.Job{TypeMeta: typed("batch/v1", "Job"), ObjectMeta: meta, Spec: batchv1.JobSpec{Template: template}}, nested},
		"batch/v1/CronJob": {batchv1.CronJob{TypeMeta: typed("batch/v1", "CronJob"), ObjectMeta: meta, Spec: batchv1.CronJobSpec{
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template}}}}, "/spec/jobTemplate/spec/template/spec"},
	}
}

func TestR43EveryPlaceOfEveryKind(t *testing.T) {
	objects := everyKind()
	for _, kind := range workload.Kinds() {
		t.Run(strings.ReplaceAll(kind, "/", "."), func(t *testing.T) {
			given, known := objects[kind]
			if !known {
				t.Fatal("no object of this kind in the test")
			}
			raw, err := json.Marshal(given.value)
			if err != nil {
				t.Fatal(err)
			}
			got, err := workload.Read(raw)
			if err != nil {
				t.Fatal(err)
			}
			i := strings.LastIndexByte(kind, '/')
			want := workload.Object{
				APIVersion: kind[:i], Kind: kind[i+1:], Namespace: "team-a", Name: "app", Labels: map[string]string{"app": "a/b~c"},
				Owners:         []workload.Owner{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "owner", Controller: true}},
				ServiceAccount: "builder", PullSecrets: []string{"first", "second"}, Images: imagesAt(given.prefix),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			checkPointers(t, raw, got)
		})
	}
	if len(objects) != len(workload.Kinds()) {
		t.Errorf("want the kinds of the test, got %q", workload.Kinds())
	}
}

// checkPointers resolves each image's pointer in the document.
func checkPointers(t testing.TB, raw []byte, o workload.Object) {
	t.Helper()
	var root any
	if err := json.Unmarshal(raw, &root); err != nil {
		t.Fatal(err)
	}
	for _, image := range o.Images {
		if value, found := resolve(root, image.Pointer); found && value != nil && value != image.Ref || !found && image.Ref != "" {
			t.Errorf("%s: want %q there, got %v", image.Pointer, image.Ref, value)
		}
	}
}

// resolve follows a pointer (RFC 6901 §4).
func resolve(value any, pointer string) (any, bool) {
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch node := value.(type) {
		case map[string]any:
			next, found := node[token]
			if !found {
				return nil, false
			}
			value = next
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(node) {
				return nil, false
			}
			value = node[i]
		default:
			return nil, false
		}
	}
	return value, true
}

func pod(spec string) string { return `{"apiVersion":"v1","kind":"Pod","spec":` + spec + `}` }

func deployment(spec string) string {
	return `{"apiVersion":"apps/v1","kind":"Deployment","spec":{"template":{"spec":` + spec + `}}}`
}

func TestR43WhatCannotBeReadIsRefused(t *testing.T) {
	const malformed, unknown = evidence.MalformedObject, evidence.UnknownKind
	cases := map[string]struct {
		reason string
		in     string
		want   evidence.Reason
		path   string
	}{
		"Empty":              {"nothing is no object", ``, malformed, ""},
		"Null":               {"null is no object", `null`, malformed, ""},
		"List":               {"a list is no object", `[]`, malformed, ""},
		"Text":               {"a string is no object", `"Pod"`, malformed, ""},
		"Cut":                {"half an object", `{"apiVersion":"v1","kind":"Pod"`, malformed, ""},
		"Two":                {"two objects", pod(`{}`) + pod(`{}`), malformed, ""},
		"NotUTF8":            {"readers replace such bytes differently", pod(`{"containers":[{"image":"a` + "\xff" + `"}]}`), malformed, ""},
		"Deep":               {"depth is bounded", pod(strings.Repeat(`{"a":`, 300) + `1` + strings.Repeat(`}`, 300)), malformed, ""},
		"Huge":               {"length is bounded", strings.Repeat(" ", 5<<20) + pod(`{}`), malformed, ""},
		"NoKind":             {"an object has a kind", `{"apiVersion":"v1","spec":{}}`, unknown, "/kind"},
		"OtherKind":          {"a kind without images that is known", `{"apiVersion":"v1","kind":"ConfigMap"}`, unknown, "/kind"},
		"OtherGroup":         {"another group's Deployment", `{"apiVersion":"acme.example/v1","kind":"Deployment"}`, unknown, "/kind"},
		"OtherVersion":       {"another version may have another shape", `{"apiVersion":"apps/v1beta1","kind":"Deployment"}`, unknown, "/kind"},
		"SplitElsewhere":     {"group and kind are compared apart", `{"apiVersion":"apps","kind":"v1/Deployment","spec":{"template":{"spec":{}}}}`, unknown, "/kind"},
		"KindCase":           {"kinds have case", `{"apiVersion":"v1","kind":"pod","spec":{}}`, unknown, "/kind"},
		"APIList":            {"lists are taken apart by the caller", `{"apiVersion":"v1","kind":"PodList","items":[]}`, unknown, "/kind"},
		"KubectlList":        {"lists are taken apart by the caller", `{"apiVersion":"v1","kind":"List","items":[]}`, unknown, "/kind"},
		"KindNumber":         {"a kind is a string", `{"apiVersion":"v1","kind":1}`, malformed, "/kind"},
		"MetadataList":       {"metadata is an object", `{"apiVersion":"v1","kind":"Pod","metadata":[],"spec":{}}`, malformed, "/metadata"},
		"LabelNumber":        {"labels are strings", `{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"b":1,"a/~":2}},"spec":{}}`, malformed, "/metadata/labels/a~1~0"},
		"OwnersObject":       {"owners are a list", `{"apiVersion":"v1","kind":"Pod","metadata":{"ownerReferences":{}},"spec":{}}`, malformed, "/metadata/ownerReferences"},
		"AnnotationsText":    {"annotations are an object", `{"apiVersion":"v1","kind":"Pod","metadata":{"annotations":"x"},"spec":{}}`, malformed, "/metadata/annotations"},
		"NoSpec":             {"a Pod without spec names no image that could be read", `{"apiVersion":"v1","kind":"Pod"}`, malformed, "/spec"},
		"SpecNull":           {"nor does null", pod(`null`), malformed, "/spec"},
		"SpecList":           {"a spec is an object", pod(`[]`), malformed, "/spec"},
		"NoTemplate":         {"a Deployment without template", `{"apiVersion":"apps/v1","kind":"Deployment","spec":{}}`, malformed, "/spec/template"},
		"TemplateText":       {"a template is an object", `{"apiVersion":"apps/v1","kind":"Deployment","spec":{"template":"x"}}`, malformed, "/spec/template"},
		"NoTemplateSpec":     {"a template has a spec", `{"apiVersion":"batch/v1","kind":"CronJob","spec":{"jobTemplate":{"spec":{"template":{}}}}}`, malformed, "/spec/jobTemplate/spec/template/spec"},
		"ContainersObject":   {"containers are a list", pod(`{"containers":{"image":"a"}}`), malformed, "/spec/containers"},
		"ContainersText":     {"containers are a list", deployment(`{"initContainers":"a"}`), malformed, "/spec/template/spec/initContainers"},
		"ContainerNull":      {"no entry is null", pod(`{"containers":[{"image":"a"},null]}`), malformed, "/spec/containers/1"},
		"ContainerText":      {"a container is an object", pod(`{"ephemeralContainers":["a"]}`), malformed, "/spec/ephemeralContainers/0"},
		"ImageNumber":        {"an image is a string", pod(`{"containers":[{"image":1}]}`), malformed, "/spec/containers/0/image"},
		"ImageObject":        {"an image is a string", pod(`{"containers":[{"image":{"a":"b"}}]}`), malformed, "/spec/containers/0/image"},
		"ImageList":          {"an image is a string", pod(`{"containers":[{"image":["a"]}]}`), malformed, "/spec/containers/0/image"},
		"ImageBoolean":       {"an image is a string", pod(`{"containers":[{"image":false}]}`), malformed, "/spec/containers/0/image"},
		"NameNumber":         {"a name is a string", pod(`{"containers":[{"name":1,"image":"a"}]}`), malformed, "/spec/containers/0/name"},
		"VolumesObject":      {"volumes are a list", pod(`{"volumes":{}}`), malformed, "/spec/volumes"},
		"VolumeNull":         {"no entry is null", pod(`{"volumes":[null]}`), malformed, "/spec/volumes/0"},
		"VolumeImageText":    {"an image volume is an object", pod(`{"volumes":[{"image":"a"}]}`), malformed, "/spec/volumes/0/image"},
		"VolumeReference":    {"a reference is a string", deployment(`{"volumes":[{"image":{"reference":1}}]}`), malformed, "/spec/template/spec/volumes/0/image/reference"},
		"CSIText":            {"a CSI volume is an object", pod(`{"volumes":[{"csi":"image.csi.k8s.io"}]}`), malformed, "/spec/volumes/0/csi"},
		"CSIDriver":          {"a driver is a string", pod(`{"volumes":[{"csi":{"driver":["image.csi.k8s.io"]}}]}`), malformed, "/spec/volumes/0/csi/driver"},
		"CSIAttributes":      {"attributes are an object", pod(`{"volumes":[{"csi":{"driver":"image.csi.k8s.io","volumeAttributes":[]}}]}`), malformed, "/spec/volumes/0/csi/volumeAttributes"},
		"CSIAttribute":       {"an attribute is a string", pod(`{"volumes":[{"csi":{"driver":"image.csi.k8s.io","volumeAttributes":{"image":1}}}]}`), malformed, "/spec/volumes/0/csi/volumeAttributes/image"},
		"ServiceAccount":     {"a name is a string", pod(`{"serviceAccountName":{}}`), malformed, "/spec/serviceAccountName"},
		"PullSecretsText":    {"pull secrets are a list", pod(`{"imagePullSecrets":"a"}`), malformed, "/spec/imagePullSecrets"},
		"PullSecretText":     {"a pull secret is an object", pod(`{"imagePullSecrets":["a"]}`), malformed, "/spec/imagePullSecrets/0"},
		"TooManyImages":      {"each image is a decision", pod(`{"containers":[` + strings.Repeat(`{"image":"a"},`, 1024) + `{"image":"a"}]}`), malformed, "/spec"},
		"FirstOfTwo":         {"of two faults the same is named each time", pod(`{"volumes":1,"containers":1}`), malformed, "/spec/containers"},
		"SameNameTwice":      {"two readers could take two images for one", pod(`{"containers":[{"image":"good","image":"evil"}]}`), malformed, ""},
		"SameNameEscaped":    {"however it is spelled", pod(`{"containers":[{"image":"good","imag\u0065":"evil"}]}`), malformed, ""},
		"SameNameFarAway":    {"wherever it is", `{"apiVersion":"v1","kind":"Pod","spec":{"containers":[]},"spec":{"containers":[{"image":"evil"}]}}`, malformed, ""},
		"SameNameInIgnored":  {"also where nothing is read", `{"apiVersion":"v1","kind":"Pod","spec":{},"status":{"a":1,"a":2}}`, malformed, ""},
		"SameListTwice":      {"also lists", pod(`{"containers":[{"image":"good"}],"containers":[{"image":"evil"}]}`), malformed, ""},
		"NumberOfManyDigits": {"what is repeated is clipped", pod(`{"containers":[{"image":1` + strings.Repeat("0", 300) + `}]}`), malformed, "/spec/containers/0/image"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o, err := workload.Read([]byte(c.in))
			var problem *evidence.Problem
			if !errors.As(err, &problem) {
				t.Fatalf("%s: want a Problem, got %v and %v", c.reason, o, err)
			}
			if problem.Reason != c.want || problem.Path != c.path {
				t.Errorf("%s: want %s at %q, got %s at %q: %v", c.reason, c.want, c.path, problem.Reason, problem.Path, problem)
			}
			if diff := cmp.Diff(workload.Object{}, o); diff != "" {
				t.Errorf("%s: want no object beside the error: -want +got:\n%s", c.reason, diff)
			}
			if len(problem.Error()) > 1000 {
				t.Errorf("%s: the message is %d bytes long", c.reason, len(problem.Error()))
			}
		})
	}
}

// A missing image stays in the list, with a reference that no parser takes, so
// that it is refused where images are decided.
func TestR48MissingImage(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     string
		want   []workload.Image
	}{
		"Absent": {"a container names an image", pod(`{"containers":[{"name":"a"}]}`), []workload.Image{{Name: "a", List: "containers", Pointer: "/spec/containers/0/image"}}},
		"Null":   {"a null is absent", pod(`{"containers":[{"name":"a","image":null}]}`), []workload.Image{{Name: "a", List: "containers", Pointer: "/spec/containers/0/image"}}},
		"Empty":  {"an empty name is none", deployment(`{"containers":[{"image":""}]}`), []workload.Image{{List: "containers", Pointer: "/spec/template/spec/containers/0/image"}}},
		"Volume": {"a Pod's image volume names an image", pod(`{"volumes":[{"name":"v","image":{}}]}`),
			[]workload.Image{{Name: "v", List: "volumes", Pointer: "/spec/volumes/0/image/reference"}}},
		"CSI": {"so does a driver's volume", pod(`{"volumes":[{"csi":{"driver":"image.csi.k8s.io"}}]}`),
			[]workload.Image{{List: "volumes", Pointer: "/spec/volumes/0/csi/volumeAttributes/image"}}},
		"CSINull": {"attributes may be null", deployment(`{"volumes":[{"csi":{"driver":"image.csi.k8s.io","volumeAttributes":null}}]}`),
			[]workload.Image{{List: "volumes", Pointer: "/spec/template/spec/volumes/0/csi/volumeAttributes/image"}}},
		"VolumeOfATemplate": {"the API server lets a template leave it to a later writer", deployment(`{"volumes":[{"name":"v","image":{"pullPolicy":"Always"}}]}`), nil},
		"NullVolumeImage":   {"a null is absent", pod(`{"volumes":[{"name":"v","image":null,"csi":null}]}`), nil},
		"NoContainers":      {"a template may have none yet", deployment(`{"containers":null}`), nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o, err := workload.Read([]byte(c.in))
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if diff := cmp.Diff(c.want, o.Images); diff != "" {
				t.Errorf("%s: -want +got:\n%s", c.reason, diff)
			}
		})
	}
}

func TestRead(t *testing.T) {
	t.Run("CaseOfNames", func(t *testing.T) {
		o := read(t, pod(`{"containers":[{"image":"good","Image":"other","IMAGE":"other"}],"Containers":[{"image":"other"}]}`))
		if len(o.Images) != 1 || o.Images[0].Ref != "good" {
			t.Errorf("want the names that the API server reads, got %v", o.Images)
		}
	})
	t.Run("Verbatim", func(t *testing.T) {
		o := read(t, pod(`{"containers":[{"name":"a","image":" NGINX\u003alatest\n"}]}`))
		if o.Images[0].Ref != " NGINX:latest\n" {
			t.Errorf("want the reference as written, got %q", o.Images[0].Ref)
		}
	})
	t.Run("UnknownFields", func(t *testing.T) {
		o := read(t, pod(`{"containers":[{"name":"a","image":"b","future":{"x":1.5e300}}],"future":[1]}`))
		if len(o.Images) != 1 {
			t.Errorf("want fields of later versions passed over, got %v", o.Images)
		}
	})
	t.Run("GenerateName", func(t *testing.T) {
		o := read(t, `{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"app-"},"spec":{}}`)
		if o.Name != "app-*" {
			t.Errorf("want app-*, got %q", o.Name)
		}
	})
	t.Run("DeprecatedServiceAccount", func(t *testing.T) {
		if o := read(t, pod(`{"serviceAccount":"old"}`)); o.ServiceAccount != "old" {
			t.Errorf("want old, got %q", o.ServiceAccount)
		}
		if o := read(t, pod(`{"serviceAccount":"old","serviceAccountName":"new"}`)); o.ServiceAccount != "new" {
			t.Errorf("want new, got %q", o.ServiceAccount)
		}
	})
	t.Run("EmptyPullSecret", func(t *testing.T) {
		if o := read(t, pod(`{"imagePullSecrets":[{},{"name":""},{"name":"a"}]}`)); len(o.PullSecrets) != 1 || o.PullSecrets[0] != "a" {
			t.Errorf("want the named one, got %q", o.PullSecrets)
		}
	})
	t.Run("TwoSourcesOfOneVolume", func(t *testing.T) {
		o := read(t, pod(`{"volumes":[{"name":"v","image":{"reference":"a"},"csi":{"driver":"image.csi.k8s.io","volumeAttributes":{"image":"b"}}}]}`))
		if len(o.Images) != 2 {
			t.Errorf("want both, got %v", o.Images)
		}
	})
	t.Run("NilMap", func(t *testing.T) {
		if o, err := workload.Walk(nil); evidence.ProblemOf(err) == nil || evidence.ProblemOf(err).Reason != evidence.MalformedObject {
			t.Errorf("want MalformedObject, got %v and %v", o, err)
		}
	})
}

func read(t testing.TB, raw string) workload.Object {
	t.Helper()
	o, err := workload.Read([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	checkPointers(t, []byte(raw), o)
	return o
}

func TestR46MirrorAnnotation(t *testing.T) {
	const meta = `"metadata":{"annotations":{"kubernetes.io/config.mirror":""}}`
	mirror := read(t, `{"apiVersion":"v1","kind":"Pod",`+meta+`,"spec":{"containers":[{"image":"a"}]}}`)
	if !mirror.Mirror || len(mirror.Images) != 1 {
		t.Errorf("want a mirror Pod with its image, got %+v", mirror)
	}
	other := read(t, `{"apiVersion":"apps/v1","kind":"Deployment",`+meta+`,"spec":{"template":{`+meta+`,"spec":{"containers":[{"image":"a"}]}}}}`)
	if other.Mirror || len(other.Images) != 1 {
		t.Errorf("want the annotation to mean nothing on other kinds, got %+v", other)
	}
}
