package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/registry"
)

// Admission is the name of the scenario that Run shows by default.
const Admission = "admission"

// Scenarios lists the names that Run knows.
func Scenarios() []string { return []string{Admission} }

// ErrWrong says that an image was not decided as it must be.
var ErrWrong = errors.New("an image was not decided as it must be")

// Run shows a scenario on w: what was decided about each image, why, and how
// long it took by the clock now. The error wraps [ErrWrong] if a decision was not
// the right one.
func Run(ctx context.Context, name string, w io.Writer, now func() time.Time) error {
	if name != Admission {
		return fmt.Errorf("expected a scenario of %v, got %q", Scenarios(), name)
	}
	s, err := prepare(ctx, now)
	if err != nil {
		return err
	}
	defer s.registry.Close()
	door, stop, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer stop()
	return s.play(ctx, door, w)
}

// open starts the real server over the stage's registry and policy.
func (s *stage) open(ctx context.Context) (*door, func(), error) {
	policies, err := s.policies()
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
	e.Swap(policies)
	certificate, ca, err := server.SelfSigned([]string{"127.0.0.1"}, s.now())
	if err != nil {
		return nil, nil, err
	}
	serving, err := server.New(server.Options{
		Decider:        e,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil },
		Ready:          func() error { return nil },
		Now:            s.now,
	})
	if err != nil {
		return nil, nil, err
	}
	return listen(ctx, serving, client, ca)
}

func (s *stage) policies() (*engine.Snapshot, error) {
	documents, err := dialect.Parse("policy.yaml", s.policy)
	if err != nil {
		return nil, err
	}
	loader := dialect.Loader{Dialects: []dialect.Dialect{native.New(policyset.NewSigners(nil), native.Options{})}}
	policies, _, err := loader.Load(documents)
	if err != nil {
		return nil, err
	}
	return engine.NewSnapshot(policies), nil
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
		_ = serving.Serve(ctx, doors, status) // a door that does not open shows in the first review
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

// door sends AdmissionReviews as an API server does.
type door struct {
	url    string
	client *http.Client
}

// answer is what the demo reads of a response.
type answer struct {
	Response struct {
		Allowed bool   `json:"allowed"`
		Patch   []byte `json:"patch"`
		Status  struct {
			Message string `json:"message"`
		} `json:"status"`
	} `json:"response"`
}

// review asks about a Pod with one container.
func (d *door) review(ctx context.Context, path, image string) (answer, error) {
	body, err := json.Marshal(map[string]any{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"request": map[string]any{
			"uid": "b0a7f1de-0000-4000-8000-000000000001", "operation": "CREATE", "namespace": "shop", "name": "app",
			"kind":     map[string]string{"group": "", "version": "v1", "kind": "Pod"},
			"resource": map[string]string{"group": "", "version": "v1", "resource": "pods"},
			"object": map[string]any{
				"apiVersion": "v1", "kind": "Pod", "metadata": map[string]string{"name": "app", "namespace": "shop"},
				"spec": map[string]any{"containers": []any{map[string]string{"name": "app", "image": image}}},
			},
		},
	})
	if err != nil {
		return answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+path+"?timeout="+timeout.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := d.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	var a answer
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&a); err != nil {
		return answer{}, fmt.Errorf("read the answer (%s): %w", response.Status, err)
	}
	return a, nil
}

// play sends each image through the mutating door, and what comes out of it
// through the validating one, and prints the table.
func (s *stage) play(ctx context.Context, d *door, w io.Writer) error {
	fmt.Fprintf(w, "%-14s  %-9s  %7s  %s\n", "IMAGE", "OUTCOME", "MS", "WHY")
	wrong := 0
	for _, scene := range s.scenes {
		image := s.registry.Host() + "/" + scene.image
		began := s.now()
		a, err := d.decide(ctx, image)
		if err != nil {
			return fmt.Errorf("%s: %w", scene.image, err)
		}
		took := s.now().Sub(began)
		outcome, why := "refused", reasonOf(a.Response.Status.Message)
		if a.Response.Allowed {
			outcome, why = "admitted", "pinned to "+pinned(a.Response.Patch)
		}
		verdict := ""
		if a.Response.Allowed != scene.allowed || !strings.Contains(a.Response.Status.Message, scene.reason) {
			verdict = "  <- WRONG"
			wrong++
		}
		fmt.Fprintf(w, "%-14s  %-9s  %7.1f  %s%s\n", strings.TrimPrefix(scene.image, "acme/"), outcome, float64(took.Microseconds())/1000, why, verdict)
	}
	if wrong > 0 {
		return fmt.Errorf("%w: %d of %d", ErrWrong, wrong, len(s.scenes))
	}
	fmt.Fprintf(w, "\n%d images, each decided as it must be.\n", len(s.scenes))
	return nil
}

// decide asks both doors, as an API server does.
func (d *door) decide(ctx context.Context, image string) (answer, error) {
	mutated, err := d.review(ctx, "/admission/mutate", image)
	if err != nil || !mutated.Response.Allowed {
		return mutated, err
	}
	var patch []struct{ Value string }
	if err := json.Unmarshal(mutated.Response.Patch, &patch); err != nil || len(patch) != 1 {
		return answer{}, fmt.Errorf("expected a patch of one image, got %q", mutated.Response.Patch)
	}
	validated, err := d.review(ctx, "/admission/validate", patch[0].Value)
	if err != nil || !validated.Response.Allowed {
		return validated, err
	}
	return mutated, nil
}

// pinned is the short digest of a patch.
func pinned(patch []byte) string {
	_, digest, found := strings.Cut(string(patch), "@")
	if !found || len(digest) < len("sha256:")+shortHex {
		return "nothing"
	}
	return digest[:len("sha256:")+shortHex] + "…"
}

// shortHex is how much of a digest a table needs.
const shortHex = 12

var longDigest = regexp.MustCompile(`sha256:([0-9a-f]{12})[0-9a-f]{52}(?:\[\d+\])?`)

// reasonOf is the part of a denial that says why the first alternative does not
// hold; the table has the image's name, and the message has the rest.
func reasonOf(message string) string {
	lines := strings.Split(strings.TrimSpace(message), "\n")
	line, _, _ := strings.Cut(lines[len(lines)-1], "; ")
	if i := strings.Index(line, "expected "); i >= 0 {
		line = line[i:]
	}
	return longDigest.ReplaceAllString(line, "sha256:$1…")
}
