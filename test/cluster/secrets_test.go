package cluster_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// TestR18SecretIsSpoiledWhileInUse holds that a key which is not to be had any
// more changes nothing that was good, and that a replica which never saw it
// admits nothing by it; what a person reads of it; and that a good Secret mends
// both.
func TestR18SecretIsSpoiledWhileInUse(t *testing.T) {
	t.Parallel()
	i, key := install(t, 2), rig.NewKey(t)
	signed := rig.Push(t, i.registry, "acme/app:signed", key).Reference.String()
	unsigned := rig.Push(t, i.registry, "acme/app:unsigned").Reference.String()
	i.secret(t, "release", key)
	policy := i.Apply(t, i.policy("release", "release"))[0]
	i.ready(t, policy)
	i.each(t, func() { i.becomes(t, signed, ""); i.becomes(t, unsigned, "release") })
	lastGood := func(t *testing.T) {
		i.each(t, func() { i.becomes(t, signed, ""); i.becomes(t, unsigned, "no signature") })
	}
	closed := func(t *testing.T) {
		i.serve(t, 2)
		i.each(t, func() {
			i.becomes(t, signed, "could not be decided")
			i.becomes(t, unsigned, "could not be decided")
		})
	}
	mended := func(t *testing.T) {
		i.replaceSecret(t, "release", key)
		i.ready(t, policy)
		lastGood(t)
	}
	const field = "spec.signers[0].sigstore.key.secretRef"

	t.Run("NotAKey", func(t *testing.T) {
		i.spoil(t, map[string][]byte{"cosign.pub": []byte("no key")})
		i.Await(t, policy, condition("Ready", "False", "InvalidPolicy"))
		i.says(t, policy, "the last good version stays in force: "+field+`.key: expected PEM that begins with "-----BEGIN PUBLIC KEY-----"`)
		lastGood(t)
		closed(t)
		i.says(t, policy, field+`.key: expected PEM`)
		mended(t)
	})
	t.Run("NoSuchEntry", func(t *testing.T) {
		i.spoil(t, map[string][]byte{"other.pub": key.PublicPEM})
		i.says(t, policy, "the last good version stays in force: "+field, `"cosign.pub"`)
		lastGood(t)
		mended(t)
	})
	t.Run("Deleted", func(t *testing.T) {
		if err := i.Client.CoreV1().Secrets(systemNamespace).Delete(t.Context(), "release", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		i.Await(t, policy, condition("Ready", "False", "KeyUnavailable"))
		i.says(t, policy, "the last good version stays in force: "+field+`: expected Secret "bonafide-system/release"`)
		lastGood(t)
		closed(t)
		i.says(t, policy, field+`: expected Secret "bonafide-system/release"`)
		if i.logged(t, "not ready", "ClusterVerificationPolicy release", "reason=KeyUnavailable", "bonafide-system/release") < len(i.replicas) {
			t.Error("want each replica's log to name the policy and the Secret")
		}
		i.secret(t, "release", key)
		i.ready(t, policy)
		lastGood(t)
	})
}

// spoil replaces what the Secret of the policy holds.
func (i *installation) spoil(t *testing.T, data map[string][]byte) {
	t.Helper()
	secrets := i.Client.CoreV1().Secrets(systemNamespace)
	current, err := secrets.Get(t.Context(), "release", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	current.Data = data
	if _, err := secrets.Update(t.Context(), current, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}
