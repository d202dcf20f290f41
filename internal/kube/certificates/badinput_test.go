package certificates_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/kube/certificates"
	"github.com/bonafide-dev/bonafide/internal/kube/kubetest"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

func wantAuthorities(secret *corev1.Secret, want int) error {
	if n := len(certificatesIn(secret.Data["ca.crt"])); n != want {
		return fmt.Errorf("expected %d authorities, got %d", want, n)
	}
	return nil
}

// says waits until the journal has the text, and fails if it has it more than
// once.
func (s *scene) saysOnce(t *testing.T, text string) {
	t.Helper()
	rig.Eventually(t, "the journal", func(context.Context) error {
		if n := s.journal.Count(text); n != 1 {
			return fmt.Errorf("expected %q once, got %d times in\n%s", text, n, s.journal.Said())
		}
		return nil
	})
}

func (s *scene) create(t *testing.T, secret *corev1.Secret) {
	t.Helper()
	secret.Name = certificates.DefaultSecret
	if _, err := s.client.Typed.CoreV1().Secrets(s.namespace).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (s *scene) remove(t *testing.T) {
	t.Helper()
	if err := s.client.Typed.CoreV1().Secrets(s.namespace).Delete(t.Context(), certificates.DefaultSecret, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestSecretThatIsBadBeforeTheStartIsReplaced(t *testing.T) {
	dockerconfig := map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{}}`)}
	cases := map[string]struct {
		reason string
		secret corev1.Secret
	}{
		"Empty":       {"an installer made it for us to fill", corev1.Secret{}},
		"EmptyTLS":    {"the same, of the type", corev1.Secret{Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": nil, "tls.key": nil}}},
		"Garbage":     {"it holds something else", corev1.Secret{Data: map[string][]byte{"tls.crt": []byte("what"), "ca.crt": []byte("is"), "ca.key": []byte("this")}}},
		"AnotherType": {"its type is another's, which cannot be changed; what that holds stays", corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: dockerconfig}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.create(t, &tc.secret)
			k, _ := s.keeper(t, s.options())
			if err := handshake(k, s.secret(t).Data["ca.crt"], s.clock.Now); err != nil {
				t.Errorf("%s: %v", tc.reason, err)
			}
			for key, value := range tc.secret.Data {
				if got, ours := s.secret(t).Data[key], strings.HasPrefix(key, "tls.") || strings.HasPrefix(key, "ca."); !ours && !bytes.Equal(got, value) {
					t.Errorf("%s: want %s left alone, got %q", tc.reason, key, got)
				}
			}
			s.saysOnce(t, "Warning CertificateReplaced: written, since the Secret could not be read: ")
		})
	}
}

// TestSecretThatMayNotChangeKeepsTheLastGood has a Secret that is immutable: its
// certificate serves on, the log says once why it stays, and a deletion mends it.
func TestSecretThatMayNotChangeKeepsTheLastGood(t *testing.T) {
	s := newScene(t)
	k, ticks := s.keeper(t, s.options())
	s.edit(t, func(secret *corev1.Secret) { secret.Immutable = new(true) })
	before := serial(k)
	s.clock.Advance(certificates.DefaultLeafLife * 3 / 4)
	for range 5 {
		tick(s, ticks)
	}
	if got := serial(k); got != before {
		t.Errorf("want the certificate in memory, %s, got %s", before, got)
	}
	s.saysOnce(t, "cannot keep the certificate's Secret")
	s.saysOnce(t, "field is immutable")
	s.remove(t)
	s.saysOnce(t, "Warning CertificateReplaced: written, since somebody deleted the Secret")
	tick(s, ticks)
	if serial(k) == before {
		t.Error("want another certificate, since this one is due")
	}
	s.saysOnce(t, "can keep the certificate's Secret again")
}

func rights(verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: verbs}
}

func TestStartWithoutRightsSaysSoAndGoesOnWhenTheyCome(t *testing.T) {
	s := newScene(t)
	admin := s.client
	s.client = kubetest.Client(t, shared.Cluster(t).ConfigFor(t, "alice"))
	k, err := certificates.New(s.options())
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	kubetest.Run(t, func(ctx context.Context) { started <- k.Start(ctx) })
	s.saysOnce(t, "cannot keep the certificate's Secret")
	s.saysOnce(t, "forbidden")
	kubetest.Grant(t, admin, s.namespace, "alice", rights("get", "create"))
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	s.saysOnce(t, "forbidden")
	if err := handshake(k, k.CABundle(), s.clock.Now); err != nil {
		t.Error(err)
	}
}

// TestRightsWithdrawnKeepTheLastGood takes away every right while a Secret is
// garbage, and gives them back.
func TestRightsWithdrawnKeepTheLastGood(t *testing.T) {
	s := newScene(t)
	admin := s.client
	all := rights("get", "list", "watch", "create", "update")
	revoke := kubetest.Grant(t, admin, s.namespace, "alice", all)
	s.client = kubetest.Client(t, shared.Cluster(t).ConfigFor(t, "alice"))
	rig.Eventually(t, "the rights are there", func(ctx context.Context) error {
		_, err := s.client.Typed.CoreV1().Secrets(s.namespace).List(ctx, metav1.ListOptions{})
		return err
	})
	k, ticks := s.keeper(t, s.options())
	before := serial(k)
	revoke()
	rig.Eventually(t, "the rights are gone", func(ctx context.Context) error {
		_, err := s.client.Typed.CoreV1().Secrets(s.namespace).Get(ctx, certificates.DefaultSecret, metav1.GetOptions{})
		if !apierrors.IsForbidden(err) {
			return fmt.Errorf("expected a refusal, got %w", err)
		}
		return nil
	})
	theirs := &scene{client: admin, namespace: s.namespace}
	theirs.edit(t, func(secret *corev1.Secret) { secret.Data["ca.crt"] = []byte("garbage") })
	for range 5 {
		tick(s, ticks)
	}
	if got := serial(k); got != before {
		t.Errorf("want the certificate in memory, %s, got %s", before, got)
	}
	s.saysOnce(t, "cannot keep the certificate's Secret")
	kubetest.Grant(t, admin, s.namespace, "alice", all)
	theirs.holds(t, "the Secret is mended", func(secret *corev1.Secret) error {
		ticks <- time.Time{}
		return wantAuthorities(secret, 1)
	})
	if got := serial(k); got != before {
		t.Errorf("want the certificate in memory in the Secret, %s, got %s", before, got)
	}
	s.saysOnce(t, "can keep the certificate's Secret again")
}

// TestExpiredCertificateThatMayNotBeReplacedIsSaid starts a replica that may read
// the Secret alone: callers refuse what it serves, and the log says what to do.
func TestExpiredCertificateThatMayNotBeReplacedIsSaid(t *testing.T) {
	for name, life := range map[string]time.Duration{"the certificate had expired": certificates.DefaultLeafLife, "the authority had expired": certificates.DefaultCALife} {
		t.Run(strings.ReplaceAll(name, " ", ""), func(t *testing.T) {
			s := newScene(t)
			admin := s.client
			old, err := certificates.New(s.options())
			if err != nil {
				t.Fatal(err)
			}
			if err := old.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			kubetest.Grant(t, admin, s.namespace, "alice", rights("get"))
			s.client = kubetest.Client(t, shared.Cluster(t).ConfigFor(t, "alice"))
			rig.Eventually(t, "the right is there", func(ctx context.Context) error {
				_, err := s.client.Typed.CoreV1().Secrets(s.namespace).Get(ctx, certificates.DefaultSecret, metav1.GetOptions{})
				return err
			})
			s.clock.Advance(life + time.Second)
			k, ticks := s.keeper(t, s.options())
			tick(s, ticks)
			s.saysOnce(t, "update the Secret, since "+name+": ")
			if at := k.NotAfter(); at.IsZero() || at.After(s.clock.Now()) {
				t.Errorf("want the metric to show an end in the past, got %s", at)
			}
			if err := handshake(k, old.CABundle(), s.clock.Now); err == nil {
				t.Error("want a caller to refuse it")
			}
		})
	}
}

// TestExpiredCertificateIsSaid starts a replica where all were away for long.
func TestExpiredCertificateIsSaid(t *testing.T) {
	for life, why := range map[time.Duration]string{certificates.DefaultLeafLife: "the certificate had expired", certificates.DefaultCALife: "the authority had expired"} {
		s := newScene(t)
		old, err := certificates.New(s.options())
		if err != nil {
			t.Fatal(err)
		}
		if err := old.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.clock.Advance(life) // to the very end of it
		k, _ := s.keeper(t, s.options())
		if !k.NotAfter().After(s.clock.Now()) {
			t.Errorf("%s: want another, got one until %s", why, k.NotAfter())
		}
		s.saysOnce(t, "event Secret/bonafide-tls Warning CertificateReplaced: written, since "+why)
		s.saysOnce(t, "level=WARN msg=\"wrote the certificate's Secret\"")
	}
}

func TestOrderThatIsNoneIsRefused(t *testing.T) {
	s := newScene(t)
	k, ticks := s.keeper(t, s.options())
	before, bundle := serial(k), k.CABundle()
	for _, value := range []string{"nwo", "CA", "", "leaf ", "false", strings.Repeat("x", 1000)} {
		t.Run("Value "+value[:min(len(value), 5)], func(t *testing.T) {
			said := s.journal.Count("Warning RotationRefused: nothing is rotated: expected the annotation bonafide.dev/rotate to be leaf, ca or now, got ")
			s.edit(t, func(secret *corev1.Secret) {
				metav1.SetMetaDataAnnotation(&secret.ObjectMeta, certificates.RotateAnnotation, value)
			})
			for range 3 {
				tick(s, ticks)
			}
			if serial(k) != before || !bytes.Equal(k.CABundle(), bundle) {
				t.Error("want nothing rotated")
			}
			if got := s.journal.Count("Warning RotationRefused: nothing is rotated: expected the annotation bonafide.dev/rotate to be leaf, ca or now, got "); got != said+1 {
				t.Errorf("want it said once, got %d times", got-said)
			}
		})
	}
	if strings.Contains(s.journal.Said(), strings.Repeat("x", 100)) {
		t.Error("want a bound to what is quoted")
	}
	for range 2 {
		s.edit(t, func(secret *corev1.Secret) { delete(secret.Annotations, certificates.RotateAnnotation) })
		tick(s, ticks)
		s.edit(t, func(secret *corev1.Secret) {
			metav1.SetMetaDataAnnotation(&secret.ObjectMeta, certificates.RotateAnnotation, "nwo")
		})
		tick(s, ticks)
	}
	if got := s.journal.Count(`got \"nwo\"`); got != 3 { // in the log, where it is quoted twice
		t.Errorf("want the same mistake said again after it was taken back, got %d", got)
	}
}

// TestSecretIsFollowedWhereWatchesAreCut has every change through a connection
// that is cut before and after.
func TestSecretIsFollowedWhereWatchesAreCut(t *testing.T) {
	s := newScene(t)
	admin := s.client
	proxy := kubetest.StartProxy(t, admin.Config)
	s.client = kubetest.Client(t, proxy.Config)
	k, _ := s.keeper(t, s.options())
	theirs := &scene{client: admin, namespace: s.namespace}
	for range 4 {
		before := serial(k)
		proxy.Cut()
		theirs.edit(t, func(secret *corev1.Secret) {
			metav1.SetMetaDataAnnotation(&secret.ObjectMeta, certificates.RotateAnnotation, "leaf")
		})
		proxy.Cut()
		rig.Eventually(t, "another certificate", func(context.Context) error {
			if serial(k) == before {
				return errors.New("expected another")
			}
			return nil
		})
	}
}

// TestSecretDeletedAgainAndAgainIsRestoredEverMoreSlowly has a controller that
// prunes it.
func TestSecretDeletedAgainAndAgainIsRestoredEverMoreSlowly(t *testing.T) {
	s := newScene(t)
	k, ticks := s.keeper(t, s.options())
	before := serial(k)
	for range 2 {
		s.remove(t)
		tick(s, ticks)
	}
	if _, err := s.client.Typed.CoreV1().Secrets(s.namespace).Get(t.Context(), certificates.DefaultSecret, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("right after a repair: want none yet, got %v", err)
	}
	s.saysOnce(t, "wait with the next repair, though somebody deleted the Secret")
	for i, tc := range []struct {
		after time.Duration
		back  bool
	}{{9 * time.Second, false}, {time.Second, true}, {19 * time.Second, false}, {time.Second, true}} {
		s.clock.Advance(tc.after)
		tick(s, ticks)
		_, err := s.client.Typed.CoreV1().Secrets(s.namespace).Get(t.Context(), certificates.DefaultSecret, metav1.GetOptions{})
		if back := err == nil; back != tc.back {
			t.Errorf("step %d: want it back %t, got %v", i, tc.back, err)
		}
		if err == nil && i < 3 {
			s.remove(t)
		}
	}
	if got := serial(k); got != before {
		t.Errorf("want the certificate in memory all the time, %s, got %s", before, got)
	}
	s.clock.Advance(3 * time.Hour)
	s.remove(t)
	s.holds(t, "after a quiet time it comes back at once", func(*corev1.Secret) error { return nil })
}
