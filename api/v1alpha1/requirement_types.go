package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Requirement is one thing that must be proven. Exactly one of its fields MUST
// be set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.signature), has(self.attestation), has(self.artifact)].exists_one(x, x)",message="exactly one of signature, attestation and artifact"
type Requirement struct {
	// Signature asks for a signature of the image itself (TRUST R23).
	//
	// +optional
	Signature *SignedBy `json:"signature,omitempty"`

	// Attestation asks for a signed statement about the image.
	//
	// +optional
	Attestation *AttestationRequirement `json:"attestation,omitempty"`

	// Artifact asks for a signed artifact that refers to the image.
	//
	// +optional
	Artifact *ArtifactRequirement `json:"artifact,omitempty"`
}

// SignedBy names signers and groups. Exactly one of its fields MUST be set.
//
// +kubebuilder:validation:XValidation:rule="has(self.anyOf) != has(self.allOf)",message="exactly one of anyOf and allOf"
type SignedBy struct {
	// AnyOf holds if one of the signers signed.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=set
	AnyOf []string `json:"anyOf,omitempty"`

	// AllOf holds if every one of the signers signed.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=set
	AllOf []string `json:"allOf,omitempty"`
}

// AttestationRequirement asks for a signed in-toto statement. At least one MUST
// be there, whatever the quantifier (TRUST R23).
type AttestationRequirement struct {
	// Type is the predicate type: its URI, or a short name such as spdxjson,
	// cyclonedx, vuln or slsaprovenance1.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Type string `json:"type"`

	// SignedBy are the signers whose statements count. A Notation signer signs
	// artifacts and no statements: it MUST NOT be named here.
	SignedBy SignedBy `json:"signedBy"`

	// Quantifier says which of the signers' statements must meet maxAge and the
	// conditions. Default Any.
	//
	// +optional
	// +kubebuilder:default=Any
	// +kubebuilder:validation:Enum=Any;Every;Newest
	Quantifier Quantifier `json:"quantifier,omitempty"`

	// MaxAge is the greatest age of the statement, by the time at which a log or
	// a timestamp authority saw it, or the one that the statement states of itself,
	// such as when a scan ended: the earlier counts. A statement with neither is
	// too old.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]*)?(ns|us|µs|ms|s|m|h))+$')",message="maxAge is a time such as 72h or 90m: days and weeks are written in hours"
	MaxAge *metav1.Duration `json:"maxAge,omitempty"`

	// Embedded also counts statements that the image's own index holds, as
	// BuildKit stores provenance and SBOMs: they have no signature of their own,
	// and count under a signature of the index by one of the signers. It needs
	// platform: Each, for such a statement is about one platform (TRUST R31).
	//
	// +optional
	Embedded bool `json:"embedded,omitempty"`

	// Conditions are about what the statement says. Each must hold.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	Conditions []Condition `json:"conditions,omitempty"`
}

// ArtifactRequirement asks for a referrer of any type that is itself signed, as
// the image is. At least one MUST be there, whatever the quantifier (TRUST R23).
type ArtifactRequirement struct {
	// Type is the artifact type, such as application/spdx+json.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Type string `json:"type"`

	// SignedBy are the signers whose artifacts count.
	SignedBy SignedBy `json:"signedBy"`

	// Quantifier says which artifacts must meet the conditions. Default Any.
	// Every asks that every artifact of the type that is found is signed, too.
	//
	// +optional
	// +kubebuilder:default=Any
	// +kubebuilder:validation:Enum=Any;Every
	Quantifier Quantifier `json:"quantifier,omitempty"`

	// Conditions are about what the artifact says. Each must hold.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	Conditions []Condition `json:"conditions,omitempty"`
}

// Quantifier says which of several statements or artifacts are meant. Every and
// Newest cannot be told where the list of them may be incomplete (TRUST R5).
type Quantifier string

// The quantifiers.
const (
	QuantifierAny    Quantifier = "Any"    // one
	QuantifierEvery  Quantifier = "Every"  // all
	QuantifierNewest Quantifier = "Newest" // the one with the latest proven time
)

// Condition is a CEL expression that MUST be true of what was signed.
// docs/conditions.md describes the language. An expression that cannot be
// evaluated does not hold (TRUST R32).
type Condition struct {
	// CEL is the expression. It is compiled when the policy is loaded.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	CEL string `json:"cel"`

	// Message says in a refusal what was expected. Default: the expression.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}
