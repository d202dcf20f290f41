package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/kyverno"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/dialect/nirmata"
	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/examples"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/registry"
)

// scene is one image at one door, and what must become of it.
type scene struct {
	label   string // what the table calls it
	ask     func(ctx context.Context, d *door) (heard, error)
	allowed bool
	reason  string // a word of the answer to an image that is refused
}

// stage is a registry with its images, the policies, and what is asked.
type stage struct {
	registry *fixture.Registry
	now      func() time.Time
	scenes   []scene
	policies []examples.File
}

// actors are who signs on a stage.
type actors struct {
	release, vendor, stranger fixture.Key
	leaf                      fixture.Leaf
	authority                 fixture.Authority
}

func newActors() (actors, error) {
	var a actors
	var err error
	for _, key := range []*fixture.Key{&a.release, &a.vendor, &a.stranger} {
		if *key, err = fixture.NewKey(fixture.P256); err != nil {
			return actors{}, err
		}
	}
	name := func(common string) fixture.CertificateOptions {
		return fixture.CertificateOptions{Subject: pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"Example"}, CommonName: common}}
	}
	if a.authority, err = fixture.NewAuthority(name("Example CA")); err != nil {
		return actors{}, err
	}
	a.leaf, err = a.authority.Issue(name("pipeline"))
	return a, err
}

// mark is something that is done to an image: a signature, an attestation, an
// artifact.
type mark func(ctx context.Context, image fixture.Image) error

func (s *stage) cosign(key fixture.Key) mark {
	return func(ctx context.Context, image fixture.Image) error {
		_, err := s.registry.SignCosign(ctx, image, key, fixture.CosignOptions{})
		return err
	}
}

func (s *stage) bundle(key fixture.Key) mark {
	return func(ctx context.Context, image fixture.Image) error {
		_, err := s.registry.SignBundle(ctx, image, key, fixture.BundleOptions{})
		return err
	}
}

func (s *stage) notation(leaf fixture.Leaf) mark {
	return func(ctx context.Context, image fixture.Image) error {
		_, err := s.registry.SignNotation(ctx, image, leaf, fixture.NotationOptions{})
		return err
	}
}

func (s *stage) attest(key fixture.Key, o fixture.AttestationOptions) mark {
	return func(ctx context.Context, image fixture.Image) error {
		_, err := s.registry.SignAttestation(ctx, image, key, o)
		return err
	}
}

// attach attaches a document and marks it as an image would be.
func (s *stage) attach(artifactType string, content []byte, marks ...mark) mark {
	return func(ctx context.Context, image fixture.Image) error {
		artifact, err := s.registry.PushArtifact(ctx, image, artifactType, artifactType, content)
		if err != nil {
			return err
		}
		for _, m := range marks {
			if err := m(ctx, artifact); err != nil {
				return err
			}
		}
		return nil
	}
}

// push pushes an image, whose content is its name, and marks it.
func (s *stage) push(ctx context.Context, name string, marks ...mark) error {
	image, err := s.registry.PushImage(ctx, name, name)
	if err != nil {
		return err
	}
	for _, m := range marks {
		if err := m(ctx, image); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// follow takes the policies of an example, filled in.
func (s *stage) follow(folder string, keys, certificates [][]byte) error {
	files, err := examples.Fill(folder, "policy", examples.Values{Registry: s.registry.Host(), Keys: keys, Certificates: certificates})
	s.policies = files
	return err
}

// snapshot compiles the policies.
func (s *stage) snapshot() ([]policy.Policy, error) {
	var documents []dialect.Document
	for _, f := range s.policies {
		found, err := dialect.Parse(f.Name, f.Content)
		if err != nil {
			return nil, err
		}
		documents = append(documents, found...)
	}
	signers := policyset.NewSigners(nil)
	loader := dialect.Loader{Dialects: []dialect.Dialect{
		native.New(signers, native.Options{}), kyverno.New(signers, kyverno.Options{}), nirmata.New(signers, nirmata.Options{}),
	}}
	policies, _, err := loader.Load(documents)
	return policies, err
}

// open starts the real server over the stage's registry and policies.
func (s *stage) open(ctx context.Context) (*door, func(), error) {
	policies, err := s.snapshot()
	if err != nil {
		return nil, nil, err
	}
	client, err := registry.New(registry.Options{Clock: s.now, InsecureHosts: []string{s.registry.Host()}})
	if err != nil {
		return nil, nil, err
	}
	e, err := engine.New(client, engine.Options{Now: s.now})
	if err != nil {
		return nil, nil, err
	}
	e.Swap(engine.NewSnapshot(policies))
	certificate, ca, err := server.SelfSigned([]string{"127.0.0.1"}, s.now())
	if err != nil {
		return nil, nil, err
	}
	serving, err := server.New(server.Options{
		Decider:        e,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil },
		CheckImages: server.CheckImagesOptions{TrustPolicies: func(name string) bool {
			return slices.ContainsFunc(policies, func(p policy.Policy) bool { return p.ByName == name })
		}},
		Ready: func() error { return nil },
		Now:   s.now,
	})
	if err != nil {
		return nil, nil, err
	}
	return listen(ctx, serving, client, ca)
}

func listen(ctx context.Context, serving *server.Server, client *registry.Client, ca []byte) (*door, func(), error) {
	var config net.ListenConfig
	doors, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	status, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		doors.Close()
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = serving.Serve(ctx, doors, status) // a door that does not open shows in the first answer
	}()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}, ForceAttemptHTTP2: true}
	d := &door{url: "https://" + doors.Addr().String(), client: &http.Client{Transport: transport}}
	return d, func() {
		transport.CloseIdleConnections()
		cancel()
		<-ended
		client.Close()
	}, nil
}
