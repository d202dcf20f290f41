package audit

import (
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// Verdict is what was decided about an image of one or many Pods. It is shared
// and must not be changed.
type Verdict struct {
	Image string // as the Pods spell it
	// Digest is what was decided: what the reference resolves to. Empty if it is
	// not known.
	Digest string
	// Running is what kubelet says runs, where that differs from Digest.
	Running string
	// Outcome of the zero Verdict is undecided.
	Outcome policy.Outcome
	// Reason and Message say why the outcome is not Allowed, or what is odd about
	// an image that is. Of one that is Excepted, Message names the exceptions.
	Reason   evidence.Reason
	Message  string
	Policies []PolicyVerdict
}

// PolicyVerdict is what one policy says.
type PolicyVerdict struct {
	Origin  policy.Origin
	Mode    policy.Mode
	Outcome policy.Outcome // the policy's own, before its mode
	// Effective is what the policy contributes to the image's outcome.
	Effective policy.Outcome
	Reason    evidence.Reason
	Message   string
	// Lifts are the exceptions by which the policy requires nothing: Message then
	// says so, and Outcome is Allowed.
	Lifts []engine.Lift
}

// Covered reports that a policy covers the image, in whatever mode.
func (v *Verdict) Covered() bool {
	return len(v.Policies) > 0 || v.Outcome != policy.Unmatched
}

// Excepted reports that the image is allowed while exceptions lift a policy that
// enforces. What that policy would say is not asked.
func (v *Verdict) Excepted() bool {
	return v.Outcome == policy.Allowed && slices.ContainsFunc(v.Policies, PolicyVerdict.excepted)
}

func (p PolicyVerdict) excepted() bool { return p.Mode == policy.Enforce && len(p.Lifts) > 0 }

// Bounds on what is said about one image: 10,000 Pods may ask as many questions.
const (
	maxMessage  = 1024
	maxProblems = 3
)

// verdictOf puts a decision into words.
func verdictOf(d engine.ImageDecision) *Verdict {
	v := &Verdict{Image: d.Image.Ref, Outcome: d.Outcome}
	if !d.Digest.IsZero() {
		v.Digest = d.Digest.String()
	}
	for _, p := range d.Policies {
		v.Policies = append(v.Policies, policyVerdict(p))
	}
	if d.Outcome == policy.Allowed {
		if len(d.Policies) > 0 {
			v.Message = v.exceptions()
			return v
		}
		// An empty set never allows (TRUST R48).
		v.Outcome = policy.Undecided
		v.because(&evidence.Problem{Reason: evidence.Internal, Expected: "a policy that allows the image", Got: "none"})
		return v
	}
	v.because(d.Problem)
	for _, p := range v.Policies {
		if p.Effective == d.Outcome && p.Outcome == d.Outcome {
			v.Reason, v.Message = p.Reason, clip(p.Origin.String()+": "+p.Message)
			break
		}
	}
	return v
}

// exceptions says which enforcing policies are lifted, and by what.
func (v *Verdict) exceptions() string {
	var said []string
	for _, p := range v.Policies {
		if p.excepted() {
			said = append(said, p.Origin.String()+": "+p.Message)
		}
	}
	return clip(strings.Join(said, "; "))
}

// because keeps a problem, which may be nil.
func (v *Verdict) because(p *evidence.Problem) {
	if p == nil {
		p = &evidence.Problem{Reason: evidence.Internal, Expected: "a reason for the decision", Got: "none"}
	}
	v.Reason, v.Message = p.Reason, clip(p.Error())
}

func policyVerdict(p engine.PolicyDecision) PolicyVerdict {
	v := PolicyVerdict{Origin: p.Origin, Mode: p.Mode, Outcome: p.Outcome, Effective: p.Effective}
	if len(p.Lifts) > 0 {
		v.Lifts, v.Message = p.Lifts, clip(liftedBy(p.Lifts))
		return v
	}
	if p.Outcome == policy.Allowed {
		return v
	}
	var said []string
	for i, problem := range p.Finding.Problems {
		if i == 0 {
			v.Reason = problem.Reason
		}
		if i == maxProblems {
			said = append(said, "and more")
			break
		}
		said = append(said, problem.Error())
	}
	v.Message = clip(strings.Join(said, "; "))
	return v
}

func liftedBy(lifts []engine.Lift) string {
	said := make([]string, len(lifts))
	for i, l := range lifts {
		said[i] = l.String()
	}
	return strings.Join(said, "; ")
}

func clip(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "") + "…"
}

// differing is the verdict on a Pod that runs other content than its reference
// names now. What runs is decided too, and the worse of both counts: the next
// start may pull either. Where it is not known what the reference names, what
// runs is all that counts.
func differing(now, runs *Verdict, digest string) *Verdict {
	if now.Digest == "" {
		v := *runs
		v.Image, v.Digest, v.Running = now.Image, "", digest
		v.Message = clip("runs " + digest + ": " + runs.Message)
		return &v
	}
	v := *now
	v.Running = digest
	said := "runs " + digest + ", and the name leads to " + now.Digest
	if runs.Outcome != policy.Allowed {
		said += "; what runs is " + runs.Outcome.String() + ": " + runs.Message
	}
	if worse(runs.Outcome, now.Outcome) {
		v.Outcome, v.Policies = runs.Outcome, runs.Policies
	}
	if now.Outcome != policy.Allowed {
		said = now.Message + "; " + said
	} else {
		v.Reason = evidence.RunningImageDiffers
	}
	v.Message = clip(said)
	return &v
}

// worse reports that a is worse than b for who is responsible for the Pod.
func worse(a, b policy.Outcome) bool { return rank(a) > rank(b) }

func rank(o policy.Outcome) int {
	switch o {
	case policy.Allowed:
		return 0
	case policy.Unmatched:
		return 1
	case policy.Undecided:
		return 2
	case policy.Denied:
	}
	return 3
}
