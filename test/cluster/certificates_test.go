package cluster_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bonafide-dev/bonafide/internal/kube/certificates"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// certificateSecret is where the replicas keep their certificate.
const certificateSecret = certificates.DefaultSecret

// serving is what the Secret of the certificate holds.
type serving struct {
	leaf        *x509.Certificate
	authorities []*x509.Certificate // the newest first
	bundle      []byte              // the authorities, PEM
	keys        []*ecdsa.PrivateKey // of authorities
}

func (i *installation) serving(ctx context.Context) (*corev1.Secret, serving, error) {
	secret, err := i.Client.CoreV1().Secrets(systemNamespace).Get(ctx, certificateSecret, metav1.GetOptions{})
	if err != nil {
		return nil, serving{}, err
	}
	s := serving{bundle: secret.Data["ca.crt"]}
	leaf, _ := pem.Decode(secret.Data[corev1.TLSCertKey])
	if leaf == nil {
		return nil, serving{}, errors.New("expected a certificate in the Secret, got none")
	}
	if s.leaf, err = x509.ParseCertificate(leaf.Bytes); err != nil {
		return nil, serving{}, err
	}
	for block, rest := pem.Decode(s.bundle); block != nil; block, rest = pem.Decode(rest) {
		authority, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, serving{}, err
		}
		s.authorities = append(s.authorities, authority)
	}
	for block, rest := pem.Decode(secret.Data["ca.key"]); block != nil; block, rest = pem.Decode(rest) {
		key, err := x509.ParseECPrivateKey(block.Bytes)
		if err != nil {
			return nil, serving{}, err
		}
		s.keys = append(s.keys, key)
	}
	return secret, s, nil
}

// awaitServing waits until the Secret is as wanted.
func (i *installation) awaitServing(t *testing.T, what string, want func(serving) error) serving {
	t.Helper()
	var now serving
	rig.Eventually(t, what, func(ctx context.Context) error {
		var err error
		if _, now, err = i.serving(ctx); err != nil {
			return err
		}
		return want(now)
	})
	return now
}

// annotate writes an annotation of the Secret.
func (i *installation) annotate(t *testing.T, name, value string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, name, value)
	if _, err := i.Client.CoreV1().Secrets(systemNamespace).Patch(t.Context(), certificateSecret, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// rotateLeaf asks for a new leaf and waits for it.
func (i *installation) rotateLeaf(t *testing.T) {
	t.Helper()
	_, before, err := i.serving(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i.annotate(t, certificates.RotateAnnotation, "leaf")
	i.awaitHandshakes(t, i.awaitServing(t, "a new leaf", func(s serving) error { return differs(s.leaf, before.leaf) }))
}

// announceAuthority asks for a new authority, and waits until callers trust both
// it and the old one, which still issues. The new one issues an overlap later:
// the test has that pass at once, and dates back the certificate from which the
// replicas read when it was announced.
func (i *installation) announceAuthority(t *testing.T) {
	t.Helper()
	_, before, err := i.serving(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i.annotate(t, certificates.RotateAnnotation, "ca")
	announced := i.awaitServing(t, "a second authority", func(s serving) error { return count(s, 2) })
	if !announced.leaf.Equal(before.leaf) || !announced.authorities[1].Equal(before.authorities[0]) {
		t.Error("want the old authority's leaf served until callers trust the new one")
	}
	i.awaitTrust(t, announced.bundle)
	i.rewrite(t, func(secret *corev1.Secret, s serving) error {
		authority, err := backdated(s.authorities[0], s.keys[0])
		_, old := pem.Decode(s.bundle)
		secret.Data["ca.crt"] = append(authority, old...)
		return err
	})
	_, aged, err := i.serving(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i.awaitTrust(t, aged.bundle)
}

// switchAuthority waits until the new authority issues. A replica goes on only
// from what it has seen for a minute.
func (i *installation) switchAuthority(t *testing.T) {
	t.Helper()
	var asked time.Time
	now := i.awaitServing(t, "a leaf of the new authority", func(s serving) error {
		if time.Since(asked) > time.Second { // rather than at the next tick
			asked = time.Now()
			i.annotate(t, "test.bonafide.dev/look", asked.Format(time.RFC3339Nano))
		}
		return s.leaf.CheckSignatureFrom(s.authorities[0])
	})
	i.awaitHandshakes(t, now)
}

// retireAuthority takes the old authority away, as a replica does an overlap
// after the switch.
func (i *installation) retireAuthority(t *testing.T) {
	t.Helper()
	i.rewrite(t, func(secret *corev1.Secret, s serving) error {
		secret.Data["ca.crt"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.authorities[0].Raw})
		return nil
	})
	after := i.awaitServing(t, "one authority", func(s serving) error { return count(s, 1) })
	i.awaitTrust(t, after.bundle)
	i.awaitHandshakes(t, after)
}

// awaitHandshakes waits until every replica serves the leaf, which callers trust
// at each try.
func (i *installation) awaitHandshakes(t *testing.T, s serving) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.bundle)
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	for _, replica := range i.replicas {
		rig.Eventually(t, "the replica serves the leaf", func(ctx context.Context) error {
			connection, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(replica.URL, "https://"))
			if err != nil {
				t.Errorf("want every handshake to succeed, got: %v", err)
				return nil
			}
			defer func() { _ = connection.Close() }() // it has shown its certificate
			if served := connection.(*tls.Conn).ConnectionState().PeerCertificates[0]; !served.Equal(s.leaf) {
				return errors.New("expected the leaf of the Secret, got another")
			}
			return nil
		})
	}
}

func differs(now, before *x509.Certificate) error {
	if now.Equal(before) {
		return errors.New("expected a new certificate, got the same")
	}
	return nil
}

func count(s serving, want int) error {
	if len(s.authorities) != want {
		return fmt.Errorf("expected %d authorities, got %d", want, len(s.authorities))
	}
	return nil
}

// rewrite changes the Secret, again if somebody else was faster.
func (i *installation) rewrite(t *testing.T, change func(*corev1.Secret, serving) error) {
	t.Helper()
	rig.Eventually(t, "write the certificate's Secret", func(ctx context.Context) error {
		secret, s, err := i.serving(ctx)
		if err != nil {
			return err
		}
		if err := change(secret, s); err != nil {
			return err
		}
		_, err = i.Client.CoreV1().Secrets(systemNamespace).Update(ctx, secret, metav1.UpdateOptions{})
		return err
	})
}

// backdated is the certificate of the same authority, as if it had been made
// some more than an overlap before.
func backdated(authority *x509.Certificate, key *ecdsa.PrivateKey) ([]byte, error) {
	again := *authority
	again.NotBefore = authority.NotBefore.Add(-certificates.DefaultOverlap - time.Minute)
	der, err := x509.CreateCertificate(rand.Reader, &again, &again, key.Public(), key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

// awaitTrust waits until all webhooks trust these authorities.
func (i *installation) awaitTrust(t *testing.T, bundle []byte) {
	t.Helper()
	api := i.Client.AdmissionregistrationV1()
	rig.Eventually(t, "the bundle is in the webhooks", func(ctx context.Context) error {
		mutating, err := api.MutatingWebhookConfigurations().Get(ctx, "bonafide", metav1.GetOptions{})
		if err != nil {
			return err
		}
		validating, err := api.ValidatingWebhookConfigurations().Get(ctx, "bonafide", metav1.GetOptions{})
		if err != nil {
			return err
		}
		bundles := map[string][]byte{}
		for _, w := range mutating.Webhooks {
			bundles[w.Name] = w.ClientConfig.CABundle
		}
		for _, w := range validating.Webhooks {
			bundles[w.Name] = w.ClientConfig.CABundle
		}
		for name, trusted := range bundles {
			if !bytes.Equal(bytes.TrimSpace(trusted), bytes.TrimSpace(bundle)) {
				return fmt.Errorf("webhook %s: expected the authorities of the Secret, got others", name)
			}
		}
		return nil
	})
}
