package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/tektoncd/chains/pkg/chains"
	_ "github.com/tektoncd/chains/pkg/chains/formats/simple"
	_ "github.com/tektoncd/chains/pkg/chains/formats/slsa/v1"
	_ "github.com/tektoncd/chains/pkg/chains/formats/slsa/v2alpha4"
	"github.com/tektoncd/chains/pkg/chains/signing"
	"github.com/tektoncd/chains/pkg/chains/storage"
	"github.com/tektoncd/chains/pkg/chains/storage/oci"
	"github.com/tektoncd/chains/pkg/config"
	pipelinefake "github.com/tektoncd/pipeline/pkg/client/clientset/versioned/fake"
)

// A key is a signing key as an operator of Chains gives it: x509.pem in a folder.
type key struct {
	folder string
	public []byte // PEM
}

func newKey(scratch, name string) (key, error) {
	k := key{folder: filepath.Join(scratch, name)}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return k, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return k, err
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return k, err
	}
	k.public = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	if err := os.Mkdir(k.folder, 0o700); err != nil {
		return k, err
	}
	return k, os.WriteFile(filepath.Join(k.folder, "x509.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// config is Chains' configuration, as its ConfigMap chains-config gives it. What
// is stored nowhere is not signed.
func (b build) config() (*config.Config, error) {
	storage := func(there bool) string {
		if there {
			return oci.StorageBackendOCI
		}
		return ""
	}
	return config.NewConfigFromMap(map[string]string{
		"artifacts.oci.storage": storage(b.format == ""), "artifacts.oci.signer": signing.TypeX509,
		"artifacts.taskrun.storage": storage(b.format != ""), "artifacts.taskrun.signer": signing.TypeX509,
		"artifacts.pipelinerun.storage": storage(b.format != ""), "artifacts.pipelinerun.signer": signing.TypeX509,
		"artifacts.taskrun.format": or(b.format, formatV02), "artifacts.pipelinerun.format": or(b.format, formatV02),
		"builder.id": b.builderID(), "transparency.enabled": "false",
	})
}

// sign has Chains' controller sign what the run calls for. A build without a
// format is not attested, and has its image signed in place of that.
func (b build) sign(ctx context.Context, digest string, k key) error {
	cfg, err := b.config()
	if err != nil {
		return err
	}
	ctx = config.ToContext(ctx, cfg)
	run := b.object(digest)
	cluster := fake.NewClientset(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}})
	signer := &chains.ObjectSigner{
		SecretPath: k.folder, Backends: map[string]storage.Backend{oci.StorageBackendOCI: oci.NewStorageBackend(ctx, cluster, *cfg)},
		Pipelineclientset: pipelinefake.NewSimpleClientset(run.GetObject().(runtime.Object)),
	}
	return signer.Sign(ctx, run)
}

// stayInProcess makes every registry that Chains speaks to one in this process.
func stayInProcess() {
	remote.DefaultTransport = inProcess{registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
}

type inProcess struct{ handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (p inProcess) RoundTrip(request *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	incoming := httptest.NewRequestWithContext(request.Context(), request.Method, request.URL.String(), request.Body)
	incoming.Header = request.Header
	p.handler.ServeHTTP(recorder, incoming)
	response := recorder.Result()
	response.Request = request
	return response, nil
}
