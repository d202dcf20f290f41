package cluster_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// TestPoliciesOfTheCluster follows a policy from its creation to a new key, at
// two replicas, none of which is started again.
func TestPoliciesOfTheCluster(t *testing.T) {
	t.Parallel()
	i := install(t, 2)
	first, second := rig.NewKey(t), rig.NewKey(t)
	old := rig.Push(t, i.registry, "acme/app:old", first).Reference.String()
	renewed := rig.Push(t, i.registry, "acme/app:new", second).Reference.String()
	unsigned := rig.Push(t, i.registry, "acme/app:unsigned").Reference.String()
	i.secret(t, "release", first)
	i.ready(t, i.Apply(t, i.policy("release", "release"))[0])

	for _, replica := range i.replicas { // each on its own
		i.balancer.Use(replica)
		i.becomes(t, unsigned, "release")
		if stored := i.admitted(t, i.namespace, old); stored == old {
			t.Errorf("want %s pinned, got it as it was", old)
		}
		i.becomes(t, renewed, "release")
	}

	i.replaceSecret(t, "release", second)
	changed := time.Now()
	for _, replica := range i.replicas {
		i.balancer.Use(replica)
		i.becomes(t, old, "release")
		i.becomes(t, renewed, "")
	}
	t.Logf("the new key was in force at both replicas within %s", time.Since(changed).Round(time.Millisecond))
}

// TestR17NamespacedPolicyOnlyAdds holds that a tenant's policy asks for more in
// its own namespace and for nothing less.
func TestR17NamespacedPolicyOnlyAdds(t *testing.T) {
	t.Parallel()
	i := install(t, 1)
	platform, tenant := rig.NewKey(t), rig.NewKey(t)
	both := rig.Push(t, i.registry, "acme/app:both", platform, tenant).Reference.String()
	platformOnly := rig.Push(t, i.registry, "acme/app:platform", platform).Reference.String()
	tenantOnly := rig.Push(t, i.registry, "acme/app:tenant", tenant).Reference.String()
	i.secret(t, "release", platform)
	i.ready(t, i.Apply(t, i.policy("release", "release"))[0])
	other := i.Namespace(t, nil)
	i.ready(t, i.Apply(t, fmt.Sprintf(`
apiVersion: bonafide.dev/v1alpha1
kind: VerificationPolicy
metadata: {name: team, namespace: %s}
spec:
  images: ["%s/**"]
  signers:
  - {name: team, sigstore: {key: {pem: %q}, transparencyLog: Ignored}}
  require:
  - signature: {anyOf: [team]}
`, i.namespace, i.registry.Host(), tenant.PublicPEM))[0])

	i.becomes(t, both, "")
	i.becomes(t, platformOnly, "team")
	i.becomes(t, tenantOnly, "release")
	if _, err := i.CreatePod(t.Context(), other, platformOnly); err != nil {
		t.Errorf("want the tenant's policy to stay in its namespace, got: %v", err)
	}
}

// TestDenyListBeatsExceptionBeatsPolicy at the real API server.
func TestDenyListBeatsExceptionBeatsPolicy(t *testing.T) {
	t.Parallel()
	i := install(t, 1)
	key := rig.NewKey(t)
	signed := rig.Push(t, i.registry, "acme/app:signed", key)
	unsigned := rig.Push(t, i.registry, "acme/legacy:1")
	i.secret(t, "release", key)
	i.ready(t, i.Apply(t, i.policy("release", "release"))[0])
	legacy := i.registry.Host() + "/acme/legacy@" + unsigned.Digest.String()
	i.becomes(t, legacy, "release")

	i.ready(t, i.Apply(t, fmt.Sprintf(`
apiVersion: bonafide.dev/v1alpha1
kind: VerificationException
metadata: {name: legacy}
spec:
  images: ["%s"]
  policies: [release]
  reason: the vendor signs from the next release on
  expires: %q
`, unsigned.Digest, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))[0])
	i.becomes(t, legacy, "")

	i.ready(t, i.Apply(t, fmt.Sprintf(`
apiVersion: bonafide.dev/v1alpha1
kind: ImageDenyList
metadata: {name: stop}
spec:
  images: ["%s", "%s/acme/app"]
  reason: they mine coins
`, unsigned.Digest, i.registry.Host()))[0])
	i.becomes(t, legacy, "they mine coins")
	i.becomes(t, signed.Reference.String(), "they mine coins")
}

// TestExceptionExpires holds that an exception ends by itself.
func TestExceptionExpires(t *testing.T) {
	t.Parallel()
	i := install(t, 1)
	key := rig.NewKey(t)
	unsigned := rig.Push(t, i.registry, "acme/legacy:1")
	i.secret(t, "release", key)
	i.ready(t, i.Apply(t, i.policy("release", "release"))[0])
	legacy := i.registry.Host() + "/acme/legacy@" + unsigned.Digest.String()
	i.Apply(t, fmt.Sprintf(`
apiVersion: bonafide.dev/v1alpha1
kind: VerificationException
metadata: {name: legacy}
spec:
  images: ["%s"]
  reason: tonight
  expires: %q
`, unsigned.Digest, time.Now().Add(8*time.Second).UTC().Format(time.RFC3339)))
	i.becomes(t, legacy, "")
	i.becomes(t, legacy, "release")
}

// TestR18PolicyThatStopsCompiling holds that such a policy keeps its last good
// version, says so, and leaves the others alone (TRUST R18).
func TestR18PolicyThatStopsCompiling(t *testing.T) {
	t.Parallel()
	i := install(t, 1)
	key := rig.NewKey(t)
	signed := rig.Push(t, i.registry, "acme/app:signed", key).Reference.String()
	unsigned := rig.Push(t, i.registry, "acme/app:unsigned").Reference.String()
	i.secret(t, "release", key)
	policy := i.Apply(t, i.policy("release", "release"))[0]
	i.ready(t, policy)
	if err := i.Client.CoreV1().Secrets(systemNamespace).Delete(t.Context(), "release", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	i.Await(t, policy, condition("Ready", "False", "KeyUnavailable"))
	i.becomes(t, signed, "")
	i.becomes(t, unsigned, "release")

	broken := i.Apply(t, i.policy("broken", "nowhere"))[0]
	i.Await(t, broken, condition("Ready", "False", "KeyUnavailable"))
	i.becomes(t, signed, "broken")
}
