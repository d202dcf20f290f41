package server

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// Versions of what a value says.
const (
	reportV1Version = "0.2.0" // of Ratify v1's reports
	reportV2Version = "2.0.0" // Ratify v2's have none
)

// maxReports bounds what is said about one image.
const maxReports = 16

// reportHead is what templates decide by. Every field is always there, and no
// text is empty: in Rego a rule that looks at an absent field does not hold, and
// the image would be admitted (TRUST R45).
type reportHead struct {
	Version   string `json:"version"`
	IsSuccess bool   `json:"isSuccess"`
	Succeeded bool   `json:"succeeded"`
	TraceID   string `json:"traceID"`
	Timestamp string `json:"timestamp"`
}

// The value of Ratify v1 (httpserver/types.go, pkg/verifier/result.go).
type valueV1 struct {
	reportHead
	VerifierReports []verifierReport `json:"verifierReports"`
}

type verifierReport struct {
	Subject         string `json:"subject"`
	IsSuccess       bool   `json:"isSuccess"`
	Name            string `json:"name"`
	VerifierName    string `json:"verifierName"`
	Type            string `json:"type"` // templates read this one
	VerifierType    string `json:"verifierType"`
	ReferenceDigest string `json:"referenceDigest,omitempty"`
	ArtifactType    string `json:"artifactType,omitempty"`
	Message         string `json:"message"`
	ErrorReason     string `json:"errorReason,omitempty"`
	Remediation     string `json:"remediation,omitempty"`
}

// The value of Ratify v2 (internal/httpserver/response.go).
type valueV2 struct {
	reportHead
	ArtifactReports []artifactReport `json:"artifactReports"`
}

type artifactReport struct {
	Subject  string               `json:"subject"`
	Artifact string               `json:"artifact"` // the digest of what was verified
	Results  []verificationResult `json:"results"`
}

type verificationResult struct {
	VerifierName string `json:"verifierName"`
	Description  string `json:"description,omitempty"`
	ErrorReason  string `json:"errorReason,omitempty"`
}

// unreadable answers a key that is no image. Whatever a node might run has a
// value, since some templates do not look at errors (TRUST R45).
func (j judgedKey) unreadable() providerItem {
	return providerItem{Error: clip(summary(j.problem.Error()), maxLine)}
}

func (c *providerCall) head(version string, j judgedKey) reportHead {
	return reportHead{
		Version: version, IsSuccess: j.verified(), Succeeded: j.verified(),
		TraceID: c.trace, Timestamp: c.started.UTC().Format(time.RFC3339),
	}
}

// runnable reports whether a node could run what the key names, although it was
// refused: container runtimes read more names than we do, identifiers of images
// that a node has among them.
func (j judgedKey) runnable() bool {
	_, err := reference.ParseNormalizedNamed(j.key.image)
	return err == nil || imageID.MatchString(j.key.image)
}

var imageID = regexp.MustCompile(`^[0-9a-f]{64}$`)

func reportV1(c *providerCall, j judgedKey) providerItem {
	if j.problem != nil && !j.runnable() {
		return j.unreadable()
	}
	return providerItem{Value: valueV1{reportHead: c.head(reportV1Version, j), VerifierReports: j.reports()}}
}

func reportV2(c *providerCall, j judgedKey) providerItem {
	if j.problem != nil && !j.runnable() {
		return j.unreadable()
	}
	v := valueV2{reportHead: c.head(reportV2Version, j)}
	for _, r := range j.reports() {
		result := verificationResult{VerifierName: r.VerifierName, Description: r.Message}
		if !r.IsSuccess {
			result = verificationResult{VerifierName: r.VerifierName, ErrorReason: r.Message}
		}
		v.ArtifactReports = append(v.ArtifactReports, artifactReport{Subject: r.Subject, Artifact: r.ReferenceDigest, Results: []verificationResult{result}})
	}
	return providerItem{Value: v}
}

// suffixed is how cosign-gatekeeper-provider answers. Its template refuses an
// error only if it ends so.
func suffixed(_ *providerCall, j judgedKey) providerItem {
	if j.verified() {
		return providerItem{Value: j.key.text + "_valid"}
	}
	return providerItem{Error: j.key.text + "_invalid"}
}

// pinTagged answers with the image as it was written and its digest.
func pinTagged(_ *providerCall, j judgedKey) providerItem {
	return j.pinned(func(ref imageref.Reference) string { return ref.Original() })
}

// pinUntagged answers as Ratify does: with the repository and the digest.
func pinUntagged(_ *providerCall, j judgedKey) providerItem {
	return j.pinned(func(ref imageref.Reference) string { return ref.Repository().WithDigest(ref.Digest()).String() })
}

// pinned answers with an image that is pinned to the digest that was verified.
// What is not pinned stays as it is, whatever was decided: the constraint
// decides (TRUST R40). What could not be told is an error, and the mutator's
// failurePolicy decides.
func (j judgedKey) pinned(write func(imageref.Reference) string) providerItem {
	switch {
	case j.problem != nil:
		return j.unreadable()
	case j.open():
		return providerItem{Error: message("the image could not be decided", j.refusals())}
	case j.kept, !j.verified(), j.decision.Pinned == "":
		return providerItem{Value: j.key.image}
	}
	// Without the operator's aliases, on purpose: they say which hosts count as
	// one, not which one the node can pull from.
	ref, err := imageref.Parse(j.decision.Pinned)
	if err != nil || ref.Digest().IsZero() {
		return providerItem{Error: summary("internal error; the image was not pinned")}
	}
	return providerItem{Value: write(ref)}
}

// reports explain a decision: who signed, or per policy why it does not allow.
// Templates may decide by the reports alone, so that none is a success unless
// the image is verified.
func (j judgedKey) reports() []verifierReport {
	if j.problem != nil {
		return []verifierReport{j.failure("bonafide", line(clip(j.key.image, maxLine), "", j.problem), j.problem.Reason)}
	}
	var all []verifierReport
	for _, p := range j.decision.Policies {
		switch {
		case p.Mode != policy.Enforce:
		case j.verified():
			all = append(all, j.successes(p)...)
		case p.Effective != policy.Allowed:
			all = append(all, j.failure(p.Origin.String(), policyLine(j.decision, p), problemsReason(p.Finding, j.decision)))
		}
	}
	if len(all) == 0 {
		p := problemOf(j.decision)
		all = append(all, j.failure("bonafide", line(j.decision.Image.Ref, undecidedNote(j.outcome), p), p.Reason))
	}
	return all[:min(len(all), maxReports)]
}

func problemsReason(f policy.Finding, d engine.ImageDecision) evidence.Reason {
	if len(f.Problems) > 0 {
		return f.Problems[0].Reason
	}
	return problemOf(d).Reason
}

func (j judgedKey) failure(name, words string, reason evidence.Reason) verifierReport {
	return verifierReport{
		Subject: j.subject(), Name: name, VerifierName: name, Type: typePolicy, VerifierType: typePolicy,
		Message: words, ErrorReason: string(reason), Remediation: reason.Remedy(),
	}
}

// successes are the proofs by which a policy allows.
func (j judgedKey) successes(p engine.PolicyDecision) []verifierReport {
	name := p.Origin.String()
	if p.Outcome != policy.Allowed {
		return []verifierReport{j.failure(name, "admitted although it could not be decided: "+policyLine(j.decision, p), problemsReason(p.Finding, j.decision))}
	}
	var note string
	if j.decision.Reference.Digest().IsZero() {
		note = "; the tag was looked up for this decision and is not pinned" // TRUST R40
	}
	var all []verifierReport
	for _, proof := range proofsOf(p.Finding) {
		kind, artifactType := verifierOf(proof)
		words := clip(strings.Join(append([]string{"signed by " + proof.Who + ": " + proof.Source}, proof.Notes...), "; ")+note, maxLine)
		all = append(all, verifierReport{
			Subject: j.subject(), IsSuccess: true, Name: name, VerifierName: name, Type: kind, VerifierType: kind,
			ReferenceDigest: carrierOf(proof), ArtifactType: artifactType, Message: words,
		})
	}
	if len(all) == 0 {
		all = append(all, verifierReport{
			Subject: j.subject(), IsSuccess: true, Name: name, VerifierName: name, Type: typePolicy, VerifierType: typePolicy,
			Message: clip("allowed: "+orElse(p.Finding.Expected, "nothing more is asked for")+note, maxLine),
		})
	}
	return all
}

// subject names what was decided.
func (j judgedKey) subject() string {
	d := j.decision
	if s := d.Reference.Repository().WithDigest(d.Digest).String(); s != "" {
		return s
	}
	return orElse(d.Reference.String(), clip(j.key.image, maxLine))
}

// proofsOf collects the proofs of the leaves that allow, each once.
func proofsOf(f policy.Finding) []policy.Proof {
	if f.Outcome != policy.Allowed {
		return nil
	}
	all := slices.Clone(f.Proofs)
	for _, child := range f.Children {
		for _, proof := range proofsOf(child) {
			same := func(p policy.Proof) bool { return p.Identity == proof.Identity && p.Source == proof.Source }
			if len(all) < maxReports && !slices.ContainsFunc(all, same) {
				all = append(all, proof)
			}
		}
	}
	return all
}

// What Ratify calls its verifiers, and what is not one of them.
const (
	typeNotation  = "notation"
	typeCosign    = "cosign"
	typeStatement = "attestation"
	typePolicy    = "policy"

	artifactNotation = "application/vnd.cncf.notary.signature"
	artifactCosign   = "application/vnd.dev.cosign.artifact.sig.v1+json"
)

// verifierOf is the verifier that Ratify would have found the proof by. A statement
// is no signature of the image (TRUST R23).
func verifierOf(p policy.Proof) (verifier, artifactType string) {
	switch {
	case p.Statement != nil:
		return typeStatement, p.Statement.Type
	case strings.HasPrefix(p.Identity, "notation:"):
		return typeNotation, artifactNotation
	}
	return typeCosign, artifactCosign
}

// carrierOf is the digest of the manifest that carries the proof, as its source
// names it, or "".
func carrierOf(p policy.Proof) string {
	named, _, _ := strings.Cut(p.Source[strings.LastIndexByte(p.Source, ' ')+1:], "[")
	d, err := imageref.ParseDigest(named)
	if err != nil {
		return ""
	}
	return d.String()
}
