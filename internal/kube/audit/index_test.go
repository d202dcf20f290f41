package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/kube/audit"
	"github.com/bonafide-dev/bonafide/policy"
)

// shelf is a registry in memory, with a set of credentials for each namespace.
type shelf struct {
	mu        sync.Mutex
	manifests map[imageref.Digest]evidence.Manifest
	fails     func(ref imageref.Reference) error
	opens     func(evidence.Puller) error
	hidden    string // the namespace that may not read
	read      []string
	pullers   []evidence.Puller
}

func (s *shelf) Source(_ context.Context, p evidence.Puller, _ imageref.Repository) (evidence.Source, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pullers = append(s.pullers, p)
	if s.opens != nil {
		if err := s.opens(p); err != nil {
			return nil, "", err
		}
	}
	return opened{shelf: s, who: p.Namespace}, p.Namespace, nil
}

// opened is a shelf as somebody sees it.
type opened struct {
	evidence.Source // nothing but manifests is asked for

	shelf *shelf
	who   string
}

func (o opened) Manifest(_ context.Context, ref imageref.Reference) (evidence.Manifest, error) {
	s := o.shelf
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = append(s.read, ref.String())
	if s.hidden != "" && o.who == s.hidden {
		return evidence.Manifest{}, &evidence.Problem{Reason: evidence.RegistryUnauthorized}
	}
	if s.fails != nil {
		if err := s.fails(ref); err != nil {
			return evidence.Manifest{}, err
		}
	}
	m, found := s.manifests[ref.Digest()]
	if !found {
		return m, &evidence.Problem{Reason: evidence.ImageNotFound}
	}
	return m, nil
}

// put keeps a manifest and returns how an index lists it.
func (s *shelf) put(t *testing.T, mediaType string, fields map[string]any) map[string]any {
	t.Helper()
	fields["schemaVersion"], fields["mediaType"] = 2, mediaType
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	m, err := evidence.ParseManifest(raw, mediaType)
	if err != nil {
		t.Fatal(err)
	}
	if s.manifests == nil {
		s.manifests = map[imageref.Digest]evidence.Manifest{}
	}
	s.manifests[m.Descriptor.Digest] = m
	return map[string]any{"mediaType": mediaType, "digest": m.Descriptor.Digest.String(), "size": len(raw)}
}

// image keeps an image for a platform.
func (s *shelf) image(t *testing.T, content, platform string) map[string]any {
	t.Helper()
	blob := map[string]any{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": imageref.DigestOf([]byte(content)).String(), "size": len(content)}
	d := s.put(t, evidence.MediaTypeImage, map[string]any{"config": blob, "layers": []any{}})
	os, architecture, _ := strings.Cut(platform, "/")
	d["platform"] = map[string]any{"os": os, "architecture": architecture}
	return d
}

func (s *shelf) index(t *testing.T, entries ...map[string]any) map[string]any {
	t.Helper()
	return s.put(t, evidence.MediaTypeIndex, map[string]any{"manifests": entries})
}

func digestOf(t *testing.T, d map[string]any) imageref.Digest {
	t.Helper()
	digest, err := imageref.ParseDigest(fmt.Sprint(d["digest"]))
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// TestPlatformsOfTheVerifiedIndexAreNoOtherContent: some runtimes tell the digest
// of the manifest that they chose from an index, and not the index's.
func TestPlatformsOfTheVerifiedIndexAreNoOtherContent(t *testing.T) {
	cluster, client := clientOf(t)
	registry := &shelf{}
	amd, arm, foreign := registry.image(t, "amd64", "linux/amd64"), registry.image(t, "arm64", "linux/arm64"), registry.image(t, "foreign", "linux/amd64")
	listed := registry.image(t, "listed", "linux/s390x")
	statement := registry.image(t, "statement", "unknown/unknown")
	statement["annotations"] = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
	nested := registry.index(t, arm)
	verified := registry.index(t, amd, nested, listed, statement)
	var many []map[string]any
	for i := range evidence.MaxChildren + 1 {
		many = append(many, registry.image(t, fmt.Sprint(i), "linux/amd64"))
	}
	large := registry.index(t, many...)
	half := evidence.MaxChildren/2 + 1
	wide := registry.index(t, append([]map[string]any{registry.index(t, many[:half]...)}, many[half:]...)...)
	deep := registry.index(t, amd)
	for range evidence.MaxIndexDepth {
		deep = registry.index(t, deep)
	}
	snapshot := engine.NewSnapshotOf(engine.Rules{Denials: []policy.Denial{{Images: policy.Images{Digests: []imageref.Digest{digestOf(t, listed)}}}}})
	cases := map[string]struct {
		reason  string
		decided map[string]any // what the tag leads to
		runs    map[string]any
		fails   error
		want    short
		differs bool
		asked   int
	}{
		"Child":  {reason: "what the runtime chose from the index", decided: verified, runs: amd, want: short{Outcome: policy.Allowed}, asked: 1},
		"Nested": {reason: "an index in the index", decided: verified, runs: arm, want: short{Outcome: policy.Allowed}, asked: 1},
		"NestedIndex": {
			reason: "the nested index itself", decided: verified, runs: nested, want: short{Outcome: policy.Allowed}, asked: 1,
		},
		"R21OfAnotherImage": {
			reason: "in the same repository, and not in the index", decided: verified, runs: foreign,
			want: short{Outcome: policy.Denied, Reason: evidence.RunningImageDiffers}, differs: true, asked: 2,
		},
		"R31StatementsDoNotRun": {
			reason: "BuildKit's statements are nothing that runs", decided: verified, runs: statement,
			want: short{Outcome: policy.Denied, Reason: evidence.RunningImageDiffers}, differs: true, asked: 2,
		},
		"OnADenyList": {
			reason: "the list names what runs and not the index", decided: verified, runs: listed,
			want: short{Outcome: policy.Denied, Reason: evidence.RunningImageDiffers}, differs: true, asked: 2,
		},
		"R48IndexThatCannotBeRead": {
			reason: "what the index holds is not known", decided: verified, runs: amd, fails: &evidence.Problem{Reason: evidence.RegistryUnavailable},
			want: short{Outcome: policy.Denied, Reason: evidence.RunningImageDiffers}, differs: true, asked: 2,
		},
		"R1LargeIndex": {
			reason: "an index of more images than count", decided: large, runs: many[0],
			want: short{Outcome: policy.Denied, Reason: evidence.RunningImageDiffers}, differs: true, asked: 2,
		},
		"R1WideIndex": {
			reason: "nested indexes of more images than count together", decided: wide, runs: many[0],
			want: short{Outcome: policy.Denied, Reason: evidence.RunningImageDiffers}, differs: true, asked: 2,
		},
		"R1DeepIndex": {
			reason: "an index of more nested ones than count", decided: deep, runs: amd,
			want: short{Outcome: policy.Denied, Reason: evidence.RunningImageDiffers}, differs: true, asked: 2,
		},
		"NoIndex": {
			reason: "an image holds no others", decided: amd, runs: arm,
			want: short{Outcome: policy.Denied, Reason: evidence.RunningImageDiffers}, differs: true, asked: 2,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			namespace := cluster.Namespace(t, nil)
			runs(t, cluster, create(t, cluster, namespace, "p", "registry.example/app:v1", nil), "registry.example/app@"+digestOf(t, c.runs).String())
			d := newDecider()
			d.snapshot, d.tag = snapshot, digestOf(t, c.decided)
			d.outcome = func(ref imageref.Reference, _ engine.Request) (policy.Outcome, evidence.Reason) {
				if ref.Digest().IsZero() {
					return policy.Allowed, ""
				}
				return policy.Denied, evidence.NotSigned // no platform is signed by itself
			}
			registry.mu.Lock()
			registry.fails = func(imageref.Reference) error { return c.fails }
			registry.mu.Unlock()
			r := sweep(t, auditor(t, audit.Options{Client: client, Decider: d, Sources: registry, In: namespace}))
			c.want.Pod, c.want.Container, c.want.Image = "p", "app", "registry.example/app:v1"
			if diff := cmp.Diff([]short{c.want}, shortened(r)); diff != "" {
				t.Fatalf("%s: (-want +got):\n%s", c.reason, diff)
			}
			if differs := r.Results[0].Running != ""; differs != c.differs || d.asked() != c.asked || r.Decisions != c.asked {
				t.Errorf("%s: want differs %t by %d decisions, got %t by %d, %d of them reported", c.reason, c.differs, c.asked, differs, d.asked(), r.Decisions)
			}
		})
	}
}

// TestR36IndexesAreReadOncePerCredentials: what an index holds is read once, and
// told to nobody who cannot read it.
func TestR36IndexesAreReadOncePerCredentials(t *testing.T) {
	registry := &shelf{hidden: "z-other"}
	amd := registry.image(t, "amd64", "linux/amd64")
	index := registry.index(t, amd)
	pod := func(namespace, name, secret string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + name)},
			Spec: corev1.PodSpec{
				ImagePullSecrets: []corev1.LocalObjectReference{{Name: secret}}, Containers: []corev1.Container{{Name: "app", Image: "registry.example/app:v1"}},
			},
			Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "app", ImageID: "registry.example/app@" + digestOf(t, amd).String()}}},
		}
	}
	client := (&podServer{}).start(t, pod("mine", "p", "a"), pod("mine", "q", "b"), pod("z-other", "p", "a")) // three questions
	d := newDecider()
	d.tag = digestOf(t, index)
	secret := evidence.SecretName{Namespace: "operators", Name: "pull"}
	d.snapshot = engine.NewSnapshot([]policy.Policy{
		{Origin: policy.Origin{Dialect: "native", Kind: "ClusterVerificationPolicy", Name: "signed"}, PullSecrets: []evidence.SecretName{secret}},
		{Origin: policy.Origin{Dialect: "native", Kind: "ClusterVerificationPolicy", Name: "another"}, PullSecrets: []evidence.SecretName{{Namespace: "x", Name: "y"}}},
	})
	d.outcome = func(ref imageref.Reference, _ engine.Request) (policy.Outcome, evidence.Reason) {
		if ref.Digest().IsZero() {
			return policy.Allowed, ""
		}
		return policy.Denied, evidence.NotSigned
	}
	a := auditor(t, audit.Options{Client: client, Decider: d, Sources: registry, Workers: 1, Eager: true})
	for range 3 {
		want := []short{
			{"p", "app", "registry.example/app:v1", policy.Allowed, ""},
			{"q", "app", "registry.example/app:v1", policy.Allowed, ""},
			{"p", "app", "registry.example/app:v1", policy.Denied, evidence.RunningImageDiffers}, // it may not be told
		}
		if diff := cmp.Diff(want, shortened(sweep(t, a))); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
	}
	hidden := 0
	for _, p := range registry.pullers {
		if p.Namespace == registry.hidden {
			hidden++
		}
	}
	if n := len(registry.read) - hidden; n != 1 {
		t.Errorf("want the index read once in three sweeps by who may, got %d times", n)
	}
	want := evidence.Puller{Namespace: "mine", PullSecrets: []string{"a"}, Operator: []evidence.SecretName{secret}}
	if diff := cmp.Diff(want, registry.pullers[0]); diff != "" {
		t.Errorf("puller (-want +got):\n%s", diff)
	}
}

// TestIndexesAreForgotten: what no sweep asks for is not kept.
func TestIndexesAreForgotten(t *testing.T) {
	cluster, client := clientOf(t)
	registry := &shelf{}
	amd := registry.image(t, "amd64", "linux/amd64")
	index := registry.index(t, amd)
	namespace := cluster.Namespace(t, nil)
	runs(t, cluster, create(t, cluster, namespace, "p", "registry.example/app:v1", nil), "registry.example/app@"+digestOf(t, amd).String())
	d := newDecider()
	a := auditor(t, audit.Options{Client: client, Decider: d, Sources: registry, In: namespace})
	for _, tag := range []imageref.Digest{digestOf(t, index), digestOf(t, amd), digestOf(t, amd), digestOf(t, index)} {
		d.tag = tag
		sweep(t, a)
	}
	if len(registry.read) != 2 {
		t.Errorf("want the index read anew after two sweeps without it, got %q", registry.read)
	}
}

// TestR48SourcesThatPanic: a fault in reading an index is no proof that it holds
// what runs.
func TestR48SourcesThatPanic(t *testing.T) {
	cluster, client := clientOf(t)
	registry := &shelf{opens: func(evidence.Puller) error { panic("boom") }}
	namespace := cluster.Namespace(t, nil)
	runs(t, cluster, create(t, cluster, namespace, "p", "registry.example/good:v1", nil), "registry.example/good@"+evilDigest.String())
	r := sweep(t, auditor(t, audit.Options{Client: client, Decider: newDecider(), Sources: &unlocked{registry}, In: namespace}))
	if r.Summary.Denied != 1 {
		t.Errorf("want the Pod denied by what runs, got %+v", r.Summary)
	}
}

// unlocked is a shelf that fails before it locks anything.
type unlocked struct{ *shelf }

func (u *unlocked) Source(_ context.Context, p evidence.Puller, _ imageref.Repository) (evidence.Source, string, error) {
	return nil, "", u.opens(p)
}

// TestDenyListsNameWhatRuns: content that is on a deny list is found where it
// runs under a tag that no policy covers, or that cannot be resolved.
func TestDenyListsNameWhatRuns(t *testing.T) {
	cluster, client := clientOf(t)
	snapshot := engine.NewSnapshotOf(engine.Rules{Denials: []policy.Denial{{Origin: policy.Origin{Kind: "ImageDenyList", Name: "incident"}, Images: policy.Images{Digests: []imageref.Digest{evilDigest}}, Reason: "incident 7"}}})
	e, err := engine.New(&shelf{opens: func(evidence.Puller) error { return errors.New("nobody asks") }}, engine.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	e.Swap(snapshot)
	namespace := cluster.Namespace(t, nil)
	runs(t, cluster, create(t, cluster, namespace, "listed", "registry.example/other:v1", nil), "registry.example/other@"+evilDigest.String())
	runs(t, cluster, create(t, cluster, namespace, "not-listed", "registry.example/other:v1", nil), "registry.example/other@"+goodDigest.String())
	r := sweep(t, auditor(t, audit.Options{Client: client, Decider: e, In: namespace}))
	want := []short{
		{"listed", "app", "registry.example/other:v1", policy.Denied, evidence.ImageDenied},
		{"not-listed", "app", "registry.example/other:v1", policy.Unmatched, evidence.NoPolicy},
	}
	if diff := cmp.Diff(want, shortened(r)); diff != "" {
		t.Fatalf("results (-want +got):\n%s", diff)
	}
	if listed := r.Results[0]; listed.Running != evilDigest.String() || !strings.Contains(listed.Message, "incident 7") || strings.Contains(listed.Message, "leads to") {
		t.Errorf("want the list's reason, and nothing about where the tag leads, got running %q, %q", listed.Running, listed.Message)
	}
	if matched, denied := r.Counts("ImageDenyList", "", "incident"); matched != 1 || denied != 1 {
		t.Errorf("want the list to count one image, got %d and %d", matched, denied)
	}
}
