package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	kjson "sigs.k8s.io/json"
)

// What an AdmissionReview is called.
const (
	reviewAPIVersion = "admission.k8s.io/v1"
	reviewKind       = "AdmissionReview"
)

// maxUID bounds what is echoed; the API server sends a UUID.
const maxUID = 128

// review is what is needed of an AdmissionReview, admission.k8s.io/v1. Objects
// are decoded in the same pass, whatever they are: reading them apart would go
// over their bytes thrice. Names that occur twice in them need no check, since
// the API server writes objects from what it has decoded itself.
type review struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Request    *reviewRequest `json:"request"`
}

type reviewRequest struct {
	UID         string    `json:"uid"`
	Kind        groupKind `json:"kind"`
	SubResource string    `json:"subResource"`
	Name        string    `json:"name"`
	Namespace   string    `json:"namespace"`
	Operation   string    `json:"operation"`
	UserInfo    userInfo  `json:"userInfo"`
	Object      any       `json:"object"`
	OldObject   any       `json:"oldObject"`
	DryRun      bool      `json:"dryRun"`
}

type groupKind struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
}

// apiVersion returns the group and version as objects write them.
func (g groupKind) apiVersion() string {
	if g.Group == "" {
		return g.Version
	}
	return g.Group + "/" + g.Version
}

type userInfo struct {
	Username string `json:"username"`
}

// parseReview reads an AdmissionReview. The error says in words for the caller
// what is wrong with it. The result does not refer to body.
func parseReview(body []byte) (*reviewRequest, error) {
	var r review
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, &r); err != nil {
		return nil, fmt.Errorf("expected an AdmissionReview in JSON: %w", err)
	}
	switch {
	case r.APIVersion != reviewAPIVersion || r.Kind != reviewKind:
		return nil, fmt.Errorf("expected an %s of %s, got kind %.100q of apiVersion %.100q", reviewKind, reviewAPIVersion, r.Kind, r.APIVersion)
	case r.Request == nil:
		return nil, errors.New("expected a request in the AdmissionReview, got none")
	case r.Request.UID == "":
		return nil, errors.New("expected a uid in the AdmissionReview's request, got none")
	case len(r.Request.UID) > maxUID:
		return nil, fmt.Errorf("expected a uid of at most %d bytes, got %d", maxUID, len(r.Request.UID))
	}
	switch r.Request.Operation {
	case opCreate, opUpdate, opDelete, opConnect:
		return r.Request, nil
	}
	return nil, fmt.Errorf("expected operation CREATE, UPDATE, DELETE or CONNECT, got %.100q", r.Request.Operation)
}

// The operations of admission.k8s.io/v1.
const (
	opCreate  = "CREATE"
	opUpdate  = "UPDATE"
	opDelete  = "DELETE"
	opConnect = "CONNECT"
)

// answer is what a review is answered with. The zero answer denies.
type answer struct {
	Allowed  bool
	Message  string   // why not, if not allowed
	Refused  []string // the lines of Message that are about images
	Warnings []string
	Patch    []patchOp
	Invalid  bool // the object is not what it must be, rather than not permitted
	// Annotations are for the API server's audit log.
	Annotations map[string]string
}

// refusal is the answer that denies the whole object.
func refusal(first string, lines ...string) answer {
	if len(lines) == 0 {
		return answer{Message: summary(first), Refused: []string{first}}
	}
	return answer{Message: message(first, lines), Refused: lines}
}

type patchOp struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value"`
}

// The wire form of an answer. Patch is base64 of a JSONPatch (RFC 6902), which
// is how encoding/json writes bytes.
type reviewAnswer struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Response   reviewResponse `json:"response"`
}

type reviewResponse struct {
	UID       string        `json:"uid"`
	Allowed   bool          `json:"allowed"`
	Status    *reviewStatus `json:"status,omitempty"`
	Patch     []byte        `json:"patch,omitempty"`
	PatchType string        `json:"patchType,omitempty"`
	Warnings  []string      `json:"warnings,omitempty"`

	AuditAnnotations map[string]string `json:"auditAnnotations,omitempty"`
}

type reviewStatus struct {
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Code    int    `json:"code"`
}

// encode writes the answer to the review with the uid.
func (a answer) encode(uid string) ([]byte, error) {
	r := reviewAnswer{APIVersion: reviewAPIVersion, Kind: reviewKind, Response: reviewResponse{
		UID: uid, Allowed: a.Allowed, Warnings: a.Warnings, AuditAnnotations: a.Annotations,
	}}
	if !a.Allowed {
		r.Response.Status = &reviewStatus{Message: a.Message, Reason: "Forbidden", Code: http.StatusForbidden}
		if a.Invalid {
			r.Response.Status.Reason, r.Response.Status.Code = "Invalid", http.StatusUnprocessableEntity
		}
	}
	if a.Allowed && len(a.Patch) > 0 {
		patch, err := json.Marshal(a.Patch)
		if err != nil {
			return nil, fmt.Errorf("server: write a patch: %w", err)
		}
		r.Response.Patch, r.Response.PatchType = patch, "JSONPatch"
	}
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("server: write an AdmissionReview: %w", err)
	}
	return body, nil
}
