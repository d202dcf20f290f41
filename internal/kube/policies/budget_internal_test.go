package policies

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// claims are those of a namespace, or of the whole cluster, for so many Secrets.
func claims(into map[claim]bool, owner string, secrets int) map[claim]bool {
	for i := range secrets {
		into[claim{owner, reference{secretKind, owner + "-keys", fmt.Sprintf("s%05d", i)}}] = true
	}
	return into
}

func TestR1ReferencesAreBounded(t *testing.T) {
	type want struct {
		granted, refused int
		of               map[string]int // refused, by namespace
		why              string
	}
	many := make(map[claim]bool)
	for i := range maxNamespacedReferences/maxNamespaceReferences + 10 {
		claims(many, fmt.Sprintf("n%03d", i), maxNamespaceReferences)
	}
	cases := map[string]struct {
		reason string
		claims map[claim]bool
		want   want
	}{
		"Nothing": {"nothing is claimed", nil, want{}},
		"OneNamespace": {
			"who may create policies in a namespace takes from that namespace alone",
			claims(claims(claims(map[claim]bool{}, "", 3), "hog", 10*maxNamespaceReferences), "other", maxNamespaceReferences),
			want{3 + 2*maxNamespaceReferences, 9 * maxNamespaceReferences, map[string]int{"hog": 9 * maxNamespaceReferences}, "the policies of a namespace"},
		},
		"Cluster": {
			"cluster-scoped policies have a budget of their own, and leave that of namespaces alone",
			claims(claims(map[claim]bool{}, "", maxClusterReferences+1), "other", 1),
			want{maxClusterReferences + 1, 1, map[string]int{"": 1}, "all cluster-scoped policies"},
		},
		"ManyNamespaces": {
			"a cluster policy keeps its keys, however many namespaces there are",
			claims(many, "", 5),
			want{5 + maxNamespacedReferences, 10 * maxNamespaceReferences, nil, "the policies of all namespaces"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			granted, refused := admit(tc.claims)
			of := make(map[string]int)
			for c, why := range refused {
				of[c.owner]++
				if !strings.Contains(why, tc.want.why) {
					t.Errorf("%s: expected the bound of %s, got %q", c, tc.want.why, why)
				}
			}
			if tc.want.of == nil {
				of = nil
			}
			if diff := cmp.Diff(tc.want, want{len(granted), len(refused), of, tc.want.why}, cmp.AllowUnexported(want{})); diff != "" && len(refused)+len(granted) > 0 {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			again, _ := admit(tc.claims)
			if diff := cmp.Diff(granted, again, cmp.AllowUnexported(reference{})); diff != "" {
				t.Errorf("expected the same twice (-want +got):\n%s", diff)
			}
		})
	}
}

// TestR1ReferencesAreSharedOutInTurn: where namespaces together claim too much, each
// has its first before any has its second, and the first by name are met.
func TestR1ReferencesAreSharedOutInTurn(t *testing.T) {
	all := make(map[claim]bool)
	for i := range maxNamespacedReferences {
		claims(all, fmt.Sprintf("n%04d", i), 2)
	}
	granted, refused := admit(all)
	if len(granted) != maxNamespacedReferences || len(refused) != maxNamespacedReferences {
		t.Fatalf("expected %d of each, got %d and %d", maxNamespacedReferences, len(granted), len(refused))
	}
	for c := range refused {
		if c.name != "s00001" {
			t.Fatalf("expected the second of each to be refused, got %s", c)
		}
	}
}

// TestR1LastNamespacesGoWithout: replicas agree whose claims are not met.
func TestR1LastNamespacesGoWithout(t *testing.T) {
	all := make(map[claim]bool)
	for i := range maxNamespacedReferences + 5 {
		claims(all, fmt.Sprintf("n%04d", i), 1)
	}
	_, refused := admit(all)
	if len(refused) != 5 {
		t.Fatalf("expected 5 to be refused, got %d", len(refused))
	}
	for c := range refused {
		if c.owner < "n2000" {
			t.Errorf("expected the last namespaces to go without, got %s", c.owner)
		}
	}
}

// both is a dialect that stops at the first of two Secrets that it cannot read.
type both struct{ ending }

func (both) Policies(document dialect.Document, m dialect.Material) ([]policy.Policy, error) {
	for _, name := range []string{"z", "a"} {
		if _, err := m.Secret("shop", name); err != nil {
			return nil, err
		}
	}
	return []policy.Policy{{Origin: policy.Origin{Name: document.Name}, Require: policy.All{}}}, nil
}

// TestWhatAPolicyAsksForDoesNotDependOnWhatItGot: it would ask for more and less
// by turns.
func TestWhatAPolicyAsksForDoesNotDependOnWhatItGot(t *testing.T) {
	o, _ := reduceObject(sample(1, 1, "1"), nil)
	o.namespace = "shop"
	z, a := reference{secretKind, "shop", "z"}, reference{secretKind, "shop", "a"}
	here := &mirror[referenced]{synced: true, items: map[string]referenced{"shop/z": {object: dialect.Object{Kind: secretKind}}}}
	r := &references{now: func() time.Time { return time.Unix(0, 0) }, watched: map[reference]*watchedReference{z: {objects: here}}}
	e := &entry{kind: &watched{}, object: o}
	in := inputs{dialect: both{}}
	e.compile(in, r)
	if want := map[reference]bool{z: true, a: true}; !cmp.Equal(want, e.named, cmp.AllowUnexported(reference{})) {
		t.Fatalf("expected both, got %v", e.named)
	}
	r.refused = map[claim]string{{"shop", z}: "a test"}
	if !e.stale(in, r) {
		t.Fatal("expected an entry of which a claim is refused to be stale")
	}
	e.compile(in, r)
	if e.loaded.Err == nil || len(e.seen) != 1 || len(e.named) != 2 {
		t.Errorf("expected it to fail at the first and to claim both, got %v, %v", e.loaded.Err, e.named)
	}
	changed, _ := reduceObject(sample(1, 2, "2"), nil)
	changed.namespace = "shop"
	e.object = changed
	e.compile(in, r)
	if len(e.named) != 1 {
		t.Errorf("expected nothing of another version to be claimed, got %v", e.named)
	}
	e.named[a] = true
	in.others = imageref.DigestOf([]byte("another"))
	if e.compile(in, r); len(e.named) != 1 {
		t.Errorf("expected nothing to be claimed that other documents asked for, got %v", e.named)
	}
}

// TestWrittenNamesComeBeforeThoseOfTheLastGoodVersion: a policy that names other
// Secrets than before is not kept from them by the ones that it named.
func TestWrittenNamesComeBeforeThoseOfTheLastGoodVersion(t *testing.T) {
	const each = maxNamespaceReferences/2 + 5
	named := make(map[claim]bool)
	for i := range each {
		named[claim{"shop", reference{secretKind, "shop", fmt.Sprintf("a-before-%d", i)}}] = false
		named[claim{"shop", reference{secretKind, "shop", fmt.Sprintf("b-written-%d", i)}}] = true
	}
	granted, refused := admit(named)
	if len(granted) != maxNamespaceReferences || len(refused) != 2*each-maxNamespaceReferences {
		t.Errorf("want %d of %d granted, got %d, and %d refused", maxNamespaceReferences, 2*each, len(granted), len(refused))
	}
	for c := range refused {
		if named[c] {
			t.Errorf("want what is written granted, got %s refused", c)
		}
	}
}
