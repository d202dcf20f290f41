package policies

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/internal/kube"
	"github.com/bonafide-dev/bonafide/policy"
)

// counted is a dialect that counts what it compiles.
type counted struct{ compiled *int }

func (counted) Kinds() []dialect.Kind {
	return []dialect.Kind{{APIVersion: "example.com/v1", Kind: "Sample"}}
}

func (c counted) Policies(d dialect.Document, _ dialect.Material) ([]policy.Policy, error) {
	*c.compiled++
	return []policy.Policy{{Origin: policy.Origin{Name: d.Name}, Require: policy.All{}}}, nil
}

// thousand is a Source that has seen a thousand objects, none of which came from
// an API server.
func thousand(tb testing.TB) (s *Source, compiled *int, sets *int) {
	tb.Helper()
	compiled, sets = new(int), new(int)
	client, err := kube.New(&rest.Config{Host: "https://127.0.0.1:1"})
	if err != nil {
		tb.Fatal(err)
	}
	s, err = New(Options{
		Client: client, Dialects: []dialect.Dialect{counted{compiled}}, Now: func() time.Time { return time.Unix(0, 0) },
		Log: slog.New(slog.DiscardHandler), Changed: func(Set) { *sets++ },
	})
	if err != nil {
		tb.Fatal(err)
	}
	w := s.kinds[0]
	w.version, w.objects, w.stop = "v1", &mirror[*object]{reduce: reduceObject, changed: s.changed, now: s.options.Now}, func() {}
	w.definition.items = map[string]definition{w.resource.String(): {established: true, kind: w.name, served: "v1,"}}
	w.definition.synced, s.namespaces.synced = true, true
	var all []any
	for i := range 1000 {
		all = append(all, sample(i, 1, "1"))
	}
	if err := w.objects.Replace(all, ""); err != nil {
		tb.Fatal(err)
	}
	s.look(tb.Context())
	return s, compiled, sets
}

func sample(i int, generation int64, version string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Sample", "spec": map[string]any{"generation": generation},
		"metadata": map[string]any{"name": fmt.Sprintf("s%d", i), "uid": fmt.Sprint(i), "generation": generation, "resourceVersion": version},
		"status":   map[string]any{"version": version},
	}}
}

// TestOneChangeCompilesOneObject: and a status compiles none.
func TestOneChangeCompilesOneObject(t *testing.T) {
	s, compiled, sets := thousand(t)
	if *compiled != 1000 || *sets != 1 {
		t.Fatalf("expected 1000 compiled for one set, got %d for %d", *compiled, *sets)
	}
	objects := s.kinds[0].objects
	if err := objects.Update(sample(7, 1, "2")); err != nil {
		t.Fatal(err)
	}
	if s.look(t.Context()); *compiled != 1000 || *sets != 1 {
		t.Errorf("a status: expected nothing new, got %d compiled for %d sets", *compiled, *sets)
	}
	if err := objects.Update(sample(7, 2, "3")); err != nil {
		t.Fatal(err)
	}
	if s.look(t.Context()); *compiled != 1001 || *sets != 2 {
		t.Errorf("a change: expected one more compiled for one more set, got %d for %d", *compiled, *sets)
	}
	if err := objects.Delete(sample(7, 2, "3")); err != nil {
		t.Fatal(err)
	}
	if s.look(t.Context()); *compiled != 1001 || *sets != 3 || len(s.set.Policies) != 999 {
		t.Errorf("a deletion: expected one less, got %d policies, %d compiled for %d sets", len(s.set.Policies), *compiled, *sets)
	}
}

// BenchmarkOneChangeOfAThousand is the time from an event to the set.
func BenchmarkOneChangeOfAThousand(b *testing.B) {
	s, _, _ := thousand(b)
	generation := int64(1)
	b.ReportAllocs()
	for b.Loop() {
		generation++
		if err := s.kinds[0].objects.Update(sample(7, generation, "1")); err != nil {
			b.Fatal(err)
		}
		s.look(b.Context())
	}
}

// ending is a dialect whose signers end with a revision, and whose documents
// say whether they compile.
type ending struct{ revision *uint64 }

func (ending) Kinds() []dialect.Kind {
	return []dialect.Kind{{APIVersion: "example.com/v1", Kind: "Sample"}}
}

func (d ending) Policies(document dialect.Document, m dialect.Material) ([]policy.Policy, error) {
	if _, err := m.Secret("shop", "key"); err != nil {
		return nil, err
	}
	return []policy.Policy{{Origin: policy.Origin{Name: fmt.Sprint(document.Name, *d.revision)}, Require: policy.All{}}}, nil
}

// TestR18LastGoodVersionFollowsTrustMaterial: it is made again of the Secret that
// it was made of, with what is trusted now.
func TestR18LastGoodVersionFollowsTrustMaterial(t *testing.T) {
	revision := uint64(1)
	in := inputs{dialect: ending{&revision}, revision: revision}
	o, _ := reduceObject(sample(1, 1, "1"), nil)
	name := reference{secretKind, "shop", "key"}
	key := &mirror[referenced]{synced: true, items: map[string]referenced{"shop/key": {object: dialect.Object{Kind: secretKind}}}}
	r := &references{now: func() time.Time { return time.Unix(0, 0) }, watched: map[reference]*watchedReference{name: {objects: key}}}
	e := &entry{kind: &watched{}, object: o}
	e.compile(in, r)
	key.items = nil
	if !e.stale(in, r) {
		t.Fatal("expected an entry whose Secret has gone to be stale")
	}
	revision, in.revision = 2, 2
	e.compile(in, r)
	if e.loaded.Err == nil || e.inForce() == nil {
		t.Fatalf("expected the last good version, got %+v", e)
	}
	if got := e.inForce().Policies[0].Origin.Name; got != "s12" {
		t.Errorf("expected it to be made of what is trusted now, got %s", got)
	}
}

// TestGenerationThatChangesNothingIsInForce: an object that is as it was two
// changes ago is compiled already.
func TestGenerationThatChangesNothingIsInForce(t *testing.T) {
	s, compiled, _ := thousand(t)
	again := sample(7, 1, "3")
	again.SetGeneration(3)
	if err := s.kinds[0].objects.Update(again); err != nil {
		t.Fatal(err)
	}
	s.look(t.Context())
	for _, r := range s.set.Results {
		if r.Name == "s7" && r.Generation != 3 {
			t.Errorf("expected generation 3 to be in force, got %d", r.Generation)
		}
	}
	if *compiled != 1000 {
		t.Errorf("expected nothing to be compiled again, got %d", *compiled-1000)
	}
}

// TestLogForgetsWhatIsNoLongerNamed: names of Secrets are whoever's who may write
// policies.
func TestLogForgetsWhatIsNoLongerNamed(t *testing.T) {
	s, _, _ := thousand(t)
	refused := &mirror[referenced]{err: errSettling}
	s.references.watched[reference{secretKind, "shop", "key"}] = &watchedReference{objects: refused, stop: func() {}}
	s.report(t.Context())
	if len(s.troubles) != 1 {
		t.Fatalf("expected the Secret that cannot be read, got %v", s.troubles)
	}
	clear(s.references.watched)
	if s.report(t.Context()); len(s.troubles) != 0 {
		t.Errorf("expected nothing to be remembered, got %v", s.troubles)
	}
}

func TestRequiredKindsAreThoseOfDialects(t *testing.T) {
	s, _, _ := thousand(t)
	o := s.options
	o.Required = []schema.GroupResource{{Group: "example.com", Resource: "samples"}}
	if _, err := New(o); err != nil {
		t.Errorf("expected a kind of a dialect to be taken, got %v", err)
	}
	o.Required = []schema.GroupResource{{Group: "example.com", Resource: "others"}}
	if _, err := New(o); err == nil {
		t.Error("expected a kind that nobody reads to be refused")
	}
}

// TestDefinitionThatIsGoneTakesItsObjects: also those whose end was not seen,
// since the kind could not be read any more.
func TestDefinitionThatIsGoneTakesItsObjects(t *testing.T) {
	s, _, sets := thousand(t)
	w := s.kinds[0]
	w.definition.items[w.resource.String()] = definition{established: true, kind: w.name, served: "v9,"}
	if s.look(t.Context()); *sets != 1 || len(s.entries) != 1000 || w.trouble == nil || w.stop != nil {
		t.Errorf("a kind that cannot be read: expected everything to stay, got %d objects in %d sets, %v", len(s.entries), *sets, w.trouble)
	}
	clear(w.definition.items)
	if s.look(t.Context()); *sets != 2 || len(s.entries) != 0 || len(s.set.Policies) != 0 {
		t.Errorf("a kind that has gone: expected nothing to stay, got %d objects in %d sets", len(s.entries), *sets)
	}
}

// TestAgeIsToldOnce: when what is known gets old, and when it no longer is.
func TestAgeIsToldOnce(t *testing.T) {
	s, _, _ := thousand(t)
	var log bytes.Buffer
	now := time.Unix(0, 0).Add(staleAfter)
	s.options.Log, s.options.Now = slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now }
	look := func(lines int, reason string) {
		t.Helper()
		s.freshen(t.Context())
		if got := strings.Count(log.String(), "\n"); got != lines {
			t.Errorf("%s: expected %d lines, got %q", reason, lines, log.String())
		}
	}
	look(0, "it is not old yet")
	now = now.Add(1)
	look(1, "it is old")
	look(1, "it still is")
	if got := s.Health().Synced; !got.Equal(time.Unix(0, 0)) {
		t.Errorf("expected what is known to be of when it was heard, got %s", got)
	}
	s.kinds[0].objects.heard = now
	look(2, "it is of now")
	look(2, "it still is")
}
