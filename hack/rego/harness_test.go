package rego_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/open-policy-agent/frameworks/constraint/pkg/apis/externaldata/unversioned"
	"github.com/open-policy-agent/frameworks/constraint/pkg/apis/templates/v1beta1"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/drivers/rego"
	"github.com/open-policy-agent/frameworks/constraint/pkg/externaldata"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/yaml"

	"github.com/bonafide-dev/bonafide/internal/server"
)

const target = "admission.k8s.gatekeeper.sh"

// doors are Bonafide's doors over TLS, for holders of one client certificate.
type doors struct {
	url      string
	caBundle string // as a Provider has it
	clients  issuer
}

// open serves a decider until the test ends.
func open(t *testing.T, d server.Decider, change ...func(*server.Options)) doors {
	t.Helper()
	certificate, ca, err := server.SelfSigned([]string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	clients := newIssuer(t)
	roots := x509.NewCertPool()
	roots.AddCert(clients.certificate)
	o := server.Options{
		Decider: d, Now: time.Now, Ready: func() error { return nil },
		GetCertificate:    func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil },
		GatekeeperClients: func() *x509.CertPool { return roots },
	}
	for _, f := range change {
		f(&o)
	}
	s, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	front, back := listen(t), listen(t)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, front, back) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return doors{url: "https://" + front.Addr().String(), caBundle: base64.StdEncoding.EncodeToString(ca), clients: clients}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// provider registers a path of the doors as Gatekeeper knows it.
func (d doors) provider(name, path string) *unversioned.Provider {
	return &unversioned.Provider{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       unversioned.ProviderSpec{URL: d.url + path, Timeout: 3, CABundle: d.caBundle},
	}
}

// gatekeeper is Gatekeeper's driver with one template and one constraint.
type gatekeeper struct {
	driver     *rego.Driver
	constraint *unstructured.Unstructured
}

// newGatekeeper asks a provider with a client certificate and remembers its
// answers, as Gatekeeper does unless it is told otherwise.
func newGatekeeper(t *testing.T, template []byte, p *unversioned.Provider, client *certwatcher.CertWatcher, parameters map[string]any) gatekeeper {
	t.Helper()
	providers := externaldata.NewCache()
	driver, err := rego.New(
		rego.AddExternalDataProviderCache(providers),
		rego.AddExternalDataProviderResponseCache(externaldata.NewProviderResponseCache(t.Context(), 3*time.Minute)),
		rego.EnableExternalDataClientAuth(),
		rego.AddExternalDataClientCertWatcher(client),
	)
	if err != nil {
		t.Fatal(err)
	}
	if err := providers.Upsert(p); err != nil {
		t.Fatalf("Gatekeeper refuses the Provider: %v", err)
	}
	var versioned v1beta1.ConstraintTemplate
	if err := yaml.Unmarshal(template, &versioned); err != nil {
		t.Fatal(err)
	}
	parsed, err := versioned.ToVersionless()
	if err != nil {
		t.Fatal(err)
	}
	if err := driver.AddTemplate(t.Context(), parsed); err != nil {
		t.Fatalf("add the template: %v", err)
	}
	constraint := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": parsed.Spec.CRD.Spec.Names.Kind,
		"metadata": map[string]any{"name": "verified"},
		"spec":     map[string]any{"parameters": parameters},
	}}
	if err := driver.AddConstraint(t.Context(), constraint); err != nil {
		t.Fatalf("add the constraint: %v", err)
	}
	return gatekeeper{driver, constraint}
}

// violations are the messages with which a Pod of these images is refused.
func (g gatekeeper) violations(t *testing.T, images ...string) []string {
	t.Helper()
	var containers []any
	for _, image := range images {
		containers = append(containers, map[string]any{"name": "c", "image": image})
	}
	review := map[string]any{"object": map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": "p", "namespace": "shop"},
		"spec":     map[string]any{"containers": containers},
	}}
	answer, err := g.driver.Query(t.Context(), target, []*unstructured.Unstructured{g.constraint}, review)
	if err != nil {
		t.Fatalf("query: %v", err)
	}
	var messages []string
	for _, r := range answer.Results {
		messages = append(messages, r.Msg)
	}
	return messages
}

// issuer issues client certificates, as Gatekeeper's own authority does.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) issuer {
	t.Helper()
	key, certificate := issue(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	return issuer{certificate, key}
}

func issue(t *testing.T, template *x509.Certificate, by *issuer) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(1), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if by == nil {
		by = &issuer{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, certificate
}

// client is a certificate in files, watched as Gatekeeper watches its own.
func (i issuer) client(t *testing.T) *certwatcher.CertWatcher {
	t.Helper()
	key, certificate := issue(t, &x509.Certificate{
		DNSNames:    []string{"gatekeeper-webhook-service.gatekeeper-system.svc"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, &i)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: certificate.Raw}, "tls.key": {Type: "PRIVATE KEY", Bytes: der}}
	for name, block := range files {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	watcher, err := certwatcher.New(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	return watcher
}

// ratifyTemplate reads a template that Ratify ships from its module.
func ratifyTemplate(t *testing.T, name string) []byte {
	t.Helper()
	listed, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", "github.com/ratify-project/ratify").Output()
	if err != nil {
		t.Fatalf("find Ratify's module: %v", err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(listed, &module); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(module.Dir, "library", name, "template.y*ml"))
	if err != nil || len(found) != 1 {
		t.Fatalf("expected one template %s in %s, got %v", name, module.Dir, found)
	}
	return read(t, found[0])
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
