package policies_test

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/kube/policies"
	"github.com/bonafide-dev/bonafide/internal/rig"
	"github.com/bonafide-dev/bonafide/policy"
)

const inForce = "InForce"

// TestPolicyComesChangesAndGoes: what is applied is in force within two seconds,
// and so is its end.
func TestPolicyComesChangesAndGoes(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	namespace := c.Namespace(t, map[string]string{"team": "a"})
	s, seen := source(t, c.Config, nil)
	seen.await(t, "an empty cluster is complete", func(policies.Set) error { return nil })
	if labels, known := s.Namespace(namespace); !known || labels["team"] != "a" {
		t.Errorf("expected the labels of the namespace, got %v, %t", labels, known)
	}
	if _, known := s.Namespace("absent"); known {
		t.Error("expected no namespace of that name to be known")
	}

	t.Run("Apply", func(t *testing.T) {
		c.Apply(t, clusterPolicy("comes", pem(keyA)), namespacedPolicy(namespace, "own", pem(keyB)))
		applied := time.Now()
		set := seen.await(t, "both policies", func(s policies.Set) error {
			if err := is("own", true, inForce)(s); err != nil {
				return err
			}
			return is("comes", true, inForce)(s)
		})
		soon(t, applied)
		if p := find(set, "own"); p.Origin.Namespace != namespace || p.Origin.Dialect != "native" {
			t.Errorf("expected a policy of the namespace, got %+v", p.Origin)
		}
		if len(result(set, "comes").Weakenings) == 0 {
			t.Error("R19: expected the log that is ignored among the weakenings, got none")
		}
		before := signer(set, "comes")
		c.Apply(t, clusterPolicy("comes", pem(keyB)))
		applied = time.Now()
		seen.await(t, "the changed policy", func(s policies.Set) error {
			if signer(s, "comes") == before {
				return errSame
			}
			return nil
		})
		soon(t, applied)
	})
	seen.await(t, "the deleted policies", isGone("comes"))
	seen.await(t, "the deleted policies", isGone("own"))
}

// soon checks that what was applied is in force in time.
func soon(t *testing.T, applied time.Time) {
	t.Helper()
	if took := time.Since(applied); took > inForceWithin {
		t.Errorf("expected a change to be in force within %s, took %s", inForceWithin, took)
	}
}

// broken is a policy that the API server's schema admits and that does not
// compile: the PEM is none.
func broken(name string) string { return clusterPolicy(name, "{pem: none}") }

func TestR18BadPolicyKeepsLastGoodAndDisablesNoOther(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	_, seen := source(t, c.Config, nil)
	c.Apply(t, clusterPolicy("good", pem(keyA)), clusterPolicy("turns", pem(keyA)))
	set := seen.await(t, "the policies", is("turns", true, inForce))
	before := signer(set, "turns")
	c.Apply(t, broken("turns"))
	set = seen.await(t, "the broken policy", is("turns", false, policies.ReasonInvalidPolicy))
	if got := signer(set, "turns"); got != before {
		t.Errorf("expected the last good version, got %q", got)
	}
	if err := is("good", true, inForce)(set); err != nil || signer(set, "good") == "" {
		t.Errorf("expected the other policy as before, got %v", err)
	}
	t.Run("RestartedReplica", func(t *testing.T) {
		_, restarted := source(t, c.Config, nil)
		set := restarted.await(t, "the first set", func(policies.Set) error { return nil })
		p := find(set, "turns")
		if p == nil || p.Invalid == nil {
			t.Fatalf("expected an invalid policy, got %+v", p)
		}
		if !p.Covers(imageref.MustParse("quay.io/any/image:1")) || p.Mode != policy.Enforce || p.Match != nil {
			t.Errorf("expected every image of the cluster to be covered, got %+v", p)
		}
		if signer(set, "good") == "" {
			t.Error("expected the other policy to stand, got none")
		}
	})
	c.Apply(t, clusterPolicy("turns", pem(keyB)))
	seen.await(t, "the mended policy", is("turns", true, inForce))
}

func TestR18InvalidNamespacedPolicyIsOfItsNamespace(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	namespace := c.Namespace(t, nil)
	c.Apply(t, namespacedPolicy(namespace, "local", "{pem: none}"))
	_, seen := source(t, c.Config, nil)
	set := seen.await(t, "the broken policy", is("local", false, policies.ReasonInvalidPolicy))
	p := find(set, "local")
	for name, want := range map[string]bool{namespace: true, "other": false} {
		got, err := p.Match.Match(policy.Request{Namespace: policy.Namespace{State: policy.NamespaceKnown, Name: name}})
		if got != want || err != nil {
			t.Errorf("namespace %s: want %t, got %t, %v", name, want, got, err)
		}
	}
	if got, err := p.Match.Match(policy.Request{}); !got || err != nil {
		t.Errorf("a door that carries no namespace: want a match, got %t, %v", got, err)
	}
	if _, err := p.Match.Match(policy.Request{Namespace: policy.Namespace{State: policy.NamespaceUnknown}}); err == nil {
		t.Error("R16: a namespace that could not be found out: want an error, got none")
	}
}

func TestR18ChangedAndDeletedSecret(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	namespace := c.Namespace(t, nil)
	_, seen := source(t, c.Config, nil)
	c.Apply(t, clusterPolicy("keyed", secretRef(namespace, "release")))
	set := seen.await(t, "a policy without its Secret", is("keyed", false, "KeyUnavailable"))
	if p := find(set, "keyed"); p == nil || p.Invalid == nil {
		t.Fatalf("expected an invalid policy, got %+v", p)
	}
	stored := c.Apply(t, secret(namespace, "release", keyA))[0]
	set = seen.await(t, "the Secret", is("keyed", true, inForce))
	before := signer(set, "keyed")

	patch := func(key string) time.Time {
		t.Helper()
		_, err := c.Client.CoreV1().Secrets(namespace).Patch(t.Context(), "release", types.MergePatchType,
			[]byte(`{"stringData": {"cosign.pub": `+quoted(key)+`}}`), metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return time.Now()
	}
	applied := patch(keyB)
	set = seen.await(t, "the other key", func(s policies.Set) error {
		if got := signer(s, "keyed"); got == before || got == "" {
			return errSame
		}
		return nil
	})
	soon(t, applied)
	before = signer(set, "keyed")

	patch("malformed")
	set = seen.await(t, "the malformed key", is("keyed", false, policies.ReasonInvalidPolicy))
	if got := signer(set, "keyed"); got != before {
		t.Errorf("a malformed Secret: expected the last good version, got %q", got)
	}
	patch(keyB)
	seen.await(t, "the key again", is("keyed", true, inForce))
	if err := c.Client.CoreV1().Secrets(namespace).Delete(t.Context(), stored.GetName(), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	set = seen.await(t, "the deleted Secret", is("keyed", false, "KeyUnavailable"))
	if got := signer(set, "keyed"); got != before {
		t.Errorf("a deleted Secret: expected the last good version, got %q", got)
	}
}

// TestR17NamespacedPolicyReadsItsOwnNamespace: what another namespace holds is
// not even looked for.
func TestR17NamespacedPolicyReadsItsOwnNamespace(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	own, other := c.Namespace(t, nil), c.Namespace(t, nil)
	c.Apply(t, secret(other, "release", keyA), namespacedPolicy(own, "reaches", secretRef(other, "release")))
	_, seen := source(t, c.Config, nil)
	set := seen.await(t, "the policy", is("reaches", false, policies.ReasonInvalidPolicy))
	if n := set.Objects.Len(); n != 0 {
		t.Errorf("expected no object to be read, got %d", n)
	}
}

func TestExceptionsAndDenials(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	_, seen := source(t, c.Config, nil)
	c.Apply(t, "apiVersion: bonafide.dev/v1alpha1\nkind: ImageDenyList\nmetadata: {name: stop}\nspec: {images: [ghcr.io/acme/bad], reason: a test}\n",
		"apiVersion: bonafide.dev/v1alpha1\nkind: VerificationException\nmetadata: {name: lift}\nspec: {images: [ghcr.io/acme/old], reason: a test, expires: '"+
			time.Now().Add(5*time.Second).UTC().Format(time.RFC3339)+"'}\n")
	set := seen.await(t, "both", func(s policies.Set) error {
		if err := is("stop", true, inForce)(s); err != nil {
			return err
		}
		return is("lift", true, inForce)(s)
	})
	if len(set.Denials) != 1 || len(set.Exceptions) != 1 || set.Denials[0].Origin.Name != "stop" || set.Exceptions[0].Origin.Name != "lift" {
		t.Errorf("expected one of each, got %+v, %+v", set.Denials, set.Exceptions)
	}
	seen.await(t, "the end of the exception", is("lift", false, "Expired"))
}

// TestAPIServerRestarts: what is known stays while nobody answers, and what
// happened meanwhile is seen after.
func TestAPIServerRestarts(t *testing.T) {
	c := rig.Start(t)
	definitions(t, c)
	namespace := c.Namespace(t, nil)
	c.Apply(t, secret(namespace, "release", keyA), clusterPolicy("stays", secretRef(namespace, "release")))
	s, seen := source(t, c.Config, nil)
	set := seen.await(t, "the policy", is("stays", true, inForce))
	before := signer(set, "stays")
	_, count, _ := seen.now()
	c.RestartAPIServer(t)
	if last, now, _ := seen.now(); now != count || signer(*last, "stays") != before {
		t.Errorf("expected no other set while the API server was away, got %d more", now-count)
	}
	if _, known := s.Namespace(namespace); !known {
		t.Error("expected the namespace to stay known")
	}
	c.Apply(t, secret(namespace, "release", keyB), clusterPolicy("after", pem(keyA)))
	seen.await(t, "what was applied after the restart", func(s policies.Set) error {
		if got := signer(s, "stays"); got == before || got == "" {
			return errSame
		}
		return is("after", true, inForce)(s)
	})
}

// TestR18NothingBeforeEverythingWasRead: a replica that may not read a kind
// hands out nothing.
func TestR18NothingBeforeEverythingWasRead(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	log := make(chan string, 100)
	_, seen := source(t, c.ConfigFor(t, "alice"), func(o *policies.Options) { o.Log = logInto(log) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	select { // it has asked, and was refused
	case <-log:
	case <-ctx.Done():
		t.Fatal("expected a line in the log about the refusal, got none")
	}
	if set, _, _ := seen.now(); set != nil {
		t.Errorf("expected no set, got %+v", set)
	}
}
