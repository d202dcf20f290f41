package certificates_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/kube/certificates"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

func TestReplicasThatRaceServeOneCertificate(t *testing.T) {
	s := newScene(t)
	s.namespace += "-absent" // created by whoever is first
	const replicas = 6
	keepers := make([]*certificates.Keeper, replicas)
	var all sync.WaitGroup
	for i := range keepers {
		all.Go(func() {
			k, err := certificates.New(s.options())
			if err != nil {
				t.Error(err)
				return
			}
			if err := k.Start(t.Context()); err != nil {
				t.Error(err)
			}
			keepers[i] = k
		})
	}
	all.Wait()
	for i, k := range keepers {
		if serial(k) != serial(keepers[0]) {
			t.Errorf("replica %d: want the certificate of the others, got %s and %s", i, serial(k), serial(keepers[0]))
		}
		if err := handshake(k, keepers[0].CABundle(), s.clock.Now); err != nil {
			t.Errorf("replica %d: %v", i, err)
		}
	}
	if secret := s.secret(t); secret.Type != corev1.SecretTypeTLS || !bytes.Equal(secret.Data["ca.crt"], keepers[0].CABundle()) {
		t.Errorf("want a TLS Secret with the bundle, got type %s", secret.Type)
	}
}

// TestNoHandshakeFailsWhileCertificatesRotate rotates the authority three times
// under two replicas and callers that have what was published one step before.
func TestNoHandshakeFailsWhileCertificatesRotate(t *testing.T) {
	s := newScene(t)
	first, firstTicks := s.keeper(t, s.options())
	second, secondTicks := s.keeper(t, s.options())
	var published atomic.Pointer[[]byte] // what the API server has in its webhooks
	publish := func() {
		bundle := first.CABundle()
		published.Store(&bundle)
	}
	publish()

	ctx, stop := context.WithCancel(t.Context())
	var handshakes, failures atomic.Int64
	var callers sync.WaitGroup
	for _, k := range []*certificates.Keeper{first, second} {
		callers.Go(func() {
			for ctx.Err() == nil {
				handshakes.Add(1)
				if err := handshake(k, *published.Load(), s.clock.Now); err != nil {
					failures.Add(1)
					t.Errorf("handshake: %v", err)
				}
			}
		})
	}
	for turn := range 3 {
		before := certificatesIn(s.secret(t).Data["ca.crt"])[0]
		s.edit(t, func(secret *corev1.Secret) {
			metav1.SetMetaDataAnnotation(&secret.ObjectMeta, certificates.RotateAnnotation, "ca")
		})
		for _, count := range []int{2, 2, 1} {
			settle(t, s, count, first, second)
			enough := handshakes.Load() + 50
			rig.Eventually(t, "callers go on", func(context.Context) error {
				if handshakes.Load() < enough {
					return fmt.Errorf("expected %d handshakes, got %d", enough, handshakes.Load())
				}
				return nil
			})
			publish() // only now, after all replicas took the step
			s.clock.Advance(certificates.DefaultOverlap)
			tick(s, firstTicks)
			tick(s, secondTicks)
		}
		if after := certificatesIn(s.secret(t).Data["ca.crt"])[0]; after == before {
			t.Errorf("rotation %d: want a new authority", turn)
		}
	}
	stop()
	callers.Wait()
	t.Logf("%d handshakes, %d failures", handshakes.Load(), failures.Load())
}

// settle waits until the replicas serve what the Secret says, with so many
// authorities.
func settle(t *testing.T, s *scene, authorities int, replicas ...*certificates.Keeper) {
	t.Helper()
	s.holds(t, "replicas follow the Secret", func(secret *corev1.Secret) error {
		if n := len(certificatesIn(secret.Data["ca.crt"])); n != authorities {
			return fmt.Errorf("expected %d authorities, got %d", authorities, n)
		}
		for _, k := range replicas {
			c, err := k.Get(nil)
			if err != nil {
				return err
			}
			leaf := certificatesIn(secret.Data["tls.crt"])[0]
			if string(c.Certificate[0]) != leaf || !bytes.Equal(k.CABundle(), secret.Data["ca.crt"]) {
				return errors.New("expected the replica to serve what the Secret says")
			}
		}
		return nil
	})
}

// certificatesIn returns the DER of each block.
func certificatesIn(text []byte) []string {
	var all []string
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		all = append(all, string(block.Bytes))
	}
	return all
}

func TestCertificatesAreRenewedAtTwoThirdsOfTheirLife(t *testing.T) {
	s := newScene(t)
	k, ticks := s.keeper(t, s.options())
	leaf, bundle := serial(k), k.CABundle()

	s.clock.Advance(certificates.DefaultLeafLife*2/3 - time.Minute)
	tick(s, ticks)
	if got := serial(k); got != leaf {
		t.Fatalf("before two thirds of its life: want the same certificate, got %s", got)
	}
	s.clock.Advance(2 * time.Minute)
	tick(s, ticks)
	if got := serial(k); got == leaf {
		t.Error("after two thirds of its life: want another certificate")
	}
	if !bytes.Equal(k.CABundle(), bundle) {
		t.Error("want the authority that there was")
	}
	for range 3 { // leaves, until the authority is due
		s.clock.Advance(certificates.DefaultLeafLife * 2 / 3)
		tick(s, ticks)
		tick(s, ticks)
	}
	s.clock.Advance(certificates.DefaultLeafLife * 2 / 3)
	tick(s, ticks)
	if n := len(certificatesIn(k.CABundle())); n != 2 {
		t.Errorf("after two thirds of the authority's life: want two authorities, got %d", n)
	}
}

// tick has the keeper look twice, so that the first look is over on return.
func tick(s *scene, ticks chan<- time.Time) {
	ticks <- s.clock.Now()
	ticks <- s.clock.Now()
}

func TestSecretDeletedWhileInUseComesBack(t *testing.T) {
	s := newScene(t)
	k, _ := s.keeper(t, s.options())
	before := serial(k)
	if err := s.client.Typed.CoreV1().Secrets(s.namespace).Delete(t.Context(), certificates.DefaultSecret, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := handshake(k, k.CABundle(), s.clock.Now); err != nil {
		t.Errorf("while there is no Secret: %v", err)
	}
	s.holds(t, "the Secret comes back", func(*corev1.Secret) error { return nil })
	if got := serial(k); got != before {
		t.Errorf("want the certificate that callers trust, %s, got %s", before, got)
	}
	other, err := certificates.New(s.options())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(other.Start(t.Context()), handshake(other, k.CABundle(), s.clock.Now)); err != nil {
		t.Errorf("a replica that starts now: %v", err)
	}
}

func TestSecretThatCannotBeServedIsReplaced(t *testing.T) {
	foreign := newScene(t)
	foreign.keeper(t, foreign.options())
	of := foreign.secret(t).Data
	cases := map[string]struct {
		reason string
		change func(*corev1.Secret)
	}{
		"NoCertificate":     {"tls.crt is empty", func(s *corev1.Secret) { s.Data["tls.crt"] = nil }},
		"NoAuthority":       {"ca.crt is gone", func(s *corev1.Secret) { delete(s.Data, "ca.crt") }},
		"NoAuthorityKey":    {"nothing could be issued", func(s *corev1.Secret) { delete(s.Data, "ca.key") }},
		"Garbage":           {"no PEM", func(s *corev1.Secret) { s.Data["tls.crt"] = []byte("-----BEGIN nothing") }},
		"GarbageInPEM":      {"no certificate in the PEM", func(s *corev1.Secret) { s.Data["ca.crt"] = pemOf("CERTIFICATE") }},
		"KeyOfAnother":      {"the key is another's", func(s *corev1.Secret) { s.Data["tls.key"] = of["tls.key"] }},
		"LeafOfAnother":     {"no authority of the bundle issued it", func(s *corev1.Secret) { s.Data["tls.crt"], s.Data["tls.key"] = of["tls.crt"], of["tls.key"] }},
		"AuthorityIsNone":   {"a leaf is no authority", func(s *corev1.Secret) { s.Data["ca.crt"], s.Data["ca.key"] = s.Data["tls.crt"], s.Data["tls.key"] }},
		"TooMany":           {"more authorities than a rotation has", func(s *corev1.Secret) { s.Data["ca.crt"] = bytes.Repeat(s.Data["ca.crt"], 3) }},
		"KeyBesideKey":      {"a malformed key is not quoted", func(s *corev1.Secret) { s.Data["ca.key"] = pemOf("EC PRIVATE KEY") }},
		"KeyAsCertificates": {"a key in ca.crt would be published", func(s *corev1.Secret) { s.Data["ca.crt"] = s.Data["ca.key"] }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			k, ticks := s.keeper(t, s.options())
			before := serial(k)
			s.edit(t, tc.change)
			tick(s, ticks)
			s.holds(t, tc.reason, func(secret *corev1.Secret) error {
				if !bytes.Equal(secret.Data["ca.crt"], k.CABundle()) || len(secret.Data["tls.crt"]) == 0 {
					return errors.New("expected the Secret to be written again")
				}
				return nil
			})
			if got := serial(k); got != before {
				t.Errorf("%s: want the good certificate in memory, %s, got %s", tc.reason, before, got)
			}
			if said := s.journal.Said(); !strings.Contains(said, "Warning CertificateReplaced") || !strings.Contains(said, "level=WARN") {
				t.Errorf("%s: want a warning in log and Events, got\n%s", tc.reason, said)
			}
			fresh, err := certificates.New(s.options())
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(fresh.Start(t.Context()), handshake(fresh, k.CABundle(), s.clock.Now)); err != nil {
				t.Errorf("%s: a replica that starts now: %v", tc.reason, err)
			}
		})
	}
}

func pemOf(kind string) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte("secret-looking bytes")})
}

func TestExpiredCertificatesAreReplacedAtStart(t *testing.T) {
	cases := map[string]struct {
		reason      string
		off         time.Duration
		sameBundle  bool
		authorities int
	}{
		"Leaf":      {"everybody was away for a leaf's life", certificates.DefaultLeafLife + time.Hour, true, 1},
		"Authority": {"everybody was away for a year", certificates.DefaultCALife + time.Hour, false, 1},
		"ClockBack": {"a clock behind by more than the allowance finds a certificate that is not valid yet", -26 * time.Hour, false, 2},
		"ClockSlow": {"a clock behind by less takes what there is", -24 * time.Hour, true, 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			old, err := certificates.New(s.options())
			if err != nil {
				t.Fatal(err)
			}
			if err := old.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.clock.Advance(tc.off)
			k, err := certificates.New(s.options())
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(k.Start(t.Context()), handshake(k, k.CABundle(), s.clock.Now)); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if got := bytes.Equal(old.CABundle(), k.CABundle()); got != tc.sameBundle {
				t.Errorf("%s: want the same bundle %t, got %t", tc.reason, tc.sameBundle, got)
			}
			if got := len(certificatesIn(k.CABundle())); got != tc.authorities {
				t.Errorf("%s: want %d authorities, got %d", tc.reason, tc.authorities, got)
			}
		})
	}
}

func TestOperatorAsksForARenewal(t *testing.T) {
	cases := map[string]struct {
		reason      string
		newLeaf     bool
		authorities int
		keepsOld    bool
	}{
		"leaf": {"a new leaf by the same authority", true, 1, true},
		"ca":   {"the first step of a rotation", false, 2, true},
		"now":  {"a leaked authority is gone at once", true, 1, false},
	}
	for value, tc := range cases {
		t.Run(value, func(t *testing.T) {
			s := newScene(t)
			k, _ := s.keeper(t, s.options())
			leaf, authority := serial(k), certificatesIn(k.CABundle())[0]
			s.edit(t, func(secret *corev1.Secret) {
				metav1.SetMetaDataAnnotation(&secret.ObjectMeta, certificates.RotateAnnotation, value)
			})
			s.holds(t, tc.reason, func(secret *corev1.Secret) error {
				if _, asked := secret.Annotations[certificates.RotateAnnotation]; asked || !bytes.Equal(secret.Data["ca.crt"], k.CABundle()) || !inUse(k, secret) {
					return errors.New("expected the order to be followed, the annotation to be gone and what was written in use")
				}
				return nil
			})
			if got := serial(k) != leaf; got != tc.newLeaf {
				t.Errorf("%s: want a new leaf %t, got %t", tc.reason, tc.newLeaf, got)
			}
			bundle := certificatesIn(k.CABundle())
			if got := len(bundle); got != tc.authorities {
				t.Errorf("%s: want %d authorities, got %d", tc.reason, tc.authorities, got)
			}
			if got := bundle[len(bundle)-1] == authority; got != tc.keepsOld {
				t.Errorf("%s: want the old authority in the bundle %t, got %t", tc.reason, tc.keepsOld, got)
			}
		})
	}
}

func TestRotationWaitsUntilTheBundleHasSpread(t *testing.T) {
	s := newScene(t)
	var spread atomic.Bool
	o := s.options()
	o.Spread = func(context.Context, []byte) error {
		if !spread.Load() {
			return errors.New("a webhook has the old bundle")
		}
		return nil
	}
	k, ticks := s.keeper(t, o)
	leaf := serial(k)
	s.edit(t, func(secret *corev1.Secret) {
		metav1.SetMetaDataAnnotation(&secret.ObjectMeta, certificates.RotateAnnotation, "ca")
	})
	tick(s, ticks)
	s.clock.Advance(2 * certificates.DefaultOverlap)
	tick(s, ticks)
	if serial(k) != leaf {
		t.Error("want the old authority's certificate while the new one's bundle has not spread")
	}
	spread.Store(true)
	tick(s, ticks)
	if serial(k) == leaf {
		t.Error("want the new authority's certificate once its bundle has spread")
	}
}

func TestCertificateNamesTheHostsOfAllReplicas(t *testing.T) {
	s := newScene(t)
	first, firstTicks := s.keeper(t, s.options())
	o := s.options()
	o.Hosts = []string{"bonafide.example.com", host}
	second, secondTicks := s.keeper(t, o)
	for range 3 {
		tick(s, firstTicks)
		tick(s, secondTicks)
	}
	if serial(first) != serial(second) {
		t.Error("want the replicas to agree")
	}
	c, err := first.Get(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []string{host, "127.0.0.1", "bonafide.example.com"} {
		if err := c.Leaf.VerifyHostname(h); err != nil {
			t.Errorf("want a certificate for every host: %v", err)
		}
	}
	if err := handshake(second, first.CABundle(), s.clock.Now); err != nil {
		t.Error(err)
	}
}

func TestGetNeverBlocksAndStartEndsWithItsContext(t *testing.T) {
	s := newScene(t)
	o := s.options()
	o.Namespace = "no such name" // refused for ever
	k, err := certificates.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Get(nil); !errors.Is(err, certificates.ErrNone) {
		t.Errorf("want ErrNone, got %v", err)
	}
	if k.CABundle() != nil || !k.NotAfter().IsZero() {
		t.Error("want no bundle and no end yet")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := k.Start(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("want the context's end, got %v", err)
	}
}

// TestR47NoKeyInLogsAndEvents goes through every step and looks for any key.
func TestR47NoKeyInLogsAndEvents(t *testing.T) {
	s := newScene(t)
	_, ticks := s.keeper(t, s.options())
	var keys [][]byte
	note := func() {
		data := s.secret(t).Data
		keys = append(keys, data["tls.key"], data["ca.key"])
	}
	note()
	for _, value := range []string{"leaf", "ca", "now"} {
		s.edit(t, func(secret *corev1.Secret) {
			metav1.SetMetaDataAnnotation(&secret.ObjectMeta, certificates.RotateAnnotation, value)
		})
		for range 3 {
			tick(s, ticks)
			note()
			s.clock.Advance(certificates.DefaultOverlap)
		}
	}
	s.edit(t, func(secret *corev1.Secret) { secret.Data["ca.crt"] = secret.Data["ca.key"] })
	tick(s, ticks)
	note()
	s.edit(t, func(secret *corev1.Secret) {
		secret.Data["ca.key"] = secret.Data["ca.key"][:len(secret.Data["ca.key"])/2]
	})
	tick(s, ticks)
	said := []byte(s.journal.Said())
	if !bytes.Contains(said, []byte("CertificateIssued")) || !bytes.Contains(said, []byte("level=INFO")) {
		t.Fatalf("want logs and Events, got\n%s", said)
	}
	for _, key := range keys {
		for block, rest := pem.Decode(key); block != nil; block, rest = pem.Decode(rest) {
			for _, line := range strings.Fields(base64.StdEncoding.EncodeToString(block.Bytes[:48])) {
				if bytes.Contains(said, []byte(line[:24])) {
					t.Fatal("want no key material in logs and Events")
				}
			}
		}
	}
	if bytes.Contains(said, []byte("PRIVATE KEY")) {
		t.Error("want no PEM of a key in logs and Events")
	}
}

func TestSecretIsNotTouchedWithoutCause(t *testing.T) {
	s := newScene(t)
	_, ticks := s.keeper(t, s.options())
	before := s.secret(t).ResourceVersion
	for range 5 {
		s.clock.Advance(time.Hour)
		tick(s, ticks)
	}
	if after := s.secret(t).ResourceVersion; after != before {
		t.Errorf("want version %s, got %s", before, after)
	}
	if _, err := s.client.Typed.CoreV1().Secrets(s.namespace).Get(t.Context(), "other", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("want no other Secret, got %v", err)
	}
}
