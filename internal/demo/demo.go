package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/examples"
	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// Admission is the name of the scenario that Run shows by default. The others
// have the names of the folders of package examples.
const Admission = "admission"

// scenario is one way to verify images.
type scenario struct {
	name  string
	about string // one line
	// prepare fills the registry, and says what is asked.
	prepare func(ctx context.Context, s *stage, a actors) error
}

func scenarios() []scenario {
	return []scenario{
		{Admission, "Admission webhooks, a native policy: a cosign key or a Notation certificate.", admission},
		{examples.KyvernoProvenance, "Admission webhooks, Kyverno's ClusterPolicies of v1.5: keys in a ConfigMap, Tekton provenance in namespace prod.", kyvernoProvenance},
		{examples.KyvernoChains, "Admission webhooks, a Kyverno ClusterPolicy of today, images signed by Tekton Chains.", kyvernoChains},
		{examples.GatekeeperRatify, "Gatekeeper's external data on Ratify's paths: Notation signatures, signed SBOMs and scans.", gatekeeperRatify},
		{examples.GatekeeperCosign, "Gatekeeper's external data on the cosign provider's path.", gatekeeperCosign},
		{examples.KyvernoExtension, "Kyverno calling /checkimages: Notation trust policies by namespace, a signed SBOM.", kyvernoExtension},
	}
}

// Scenarios lists the names that Run knows.
func Scenarios() []string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return names
}

// ErrWrong says that an image was not decided as it must be.
var ErrWrong = errors.New("an image was not decided as it must be")

// Run shows a scenario on w: what was decided about each image, why, and how
// long it took by the clock now. The error wraps [ErrWrong] if a decision was not
// the right one.
func Run(ctx context.Context, name string, w io.Writer, now func() time.Time) error {
	for _, s := range scenarios() {
		if s.name == name {
			return s.run(ctx, w, now)
		}
	}
	return fmt.Errorf("expected a scenario of %s, got %q", strings.Join(Scenarios(), ", "), name)
}

func (s scenario) run(ctx context.Context, w io.Writer, now func() time.Time) error {
	r, err := fixture.NewRegistry(fixture.Options{Referrers: true})
	if err != nil {
		return err
	}
	defer r.Close()
	who, err := newActors()
	if err != nil {
		return err
	}
	on := &stage{registry: r, now: now}
	if err := s.prepare(ctx, on, who); err != nil {
		return fmt.Errorf("prepare the registry: %w", err)
	}
	d, stop, err := on.open(ctx)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintf(w, "%s\n\n", s.about)
	return on.play(ctx, d, w)
}

// play asks about each image and prints the table.
func (s *stage) play(ctx context.Context, d *door, w io.Writer) error {
	width := len("IMAGE")
	for _, scene := range s.scenes {
		width = max(width, len(scene.label))
	}
	fmt.Fprintf(w, "%-*s  %-9s  %7s  %s\n", width, "IMAGE", "OUTCOME", "MS", "WHY")
	wrong := 0
	for _, scene := range s.scenes {
		began := s.now()
		h, err := scene.ask(ctx, d)
		if err != nil {
			return fmt.Errorf("%s: %w", scene.label, err)
		}
		took := s.now().Sub(began)
		outcome, verdict := "refused", ""
		if h.admitted {
			outcome = "admitted"
		}
		if h.admitted != scene.allowed || !strings.Contains(h.says, scene.reason) {
			verdict = "  <- WRONG"
			wrong++
		}
		says := strings.ReplaceAll(h.says, s.registry.Host()+"/", "")
		fmt.Fprintf(w, "%-*s  %-9s  %7.1f  %s%s\n", width, scene.label, outcome, float64(took.Microseconds())/1000, says, verdict)
	}
	if wrong > 0 {
		return fmt.Errorf("%w: %d of %d", ErrWrong, wrong, len(s.scenes))
	}
	fmt.Fprintf(w, "\n%d images, each decided as it must be.\n", len(s.scenes))
	return nil
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
