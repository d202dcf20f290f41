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

	// Attestation asks for a signed statement about the image. Not supported
	// yet.
	//
	// +optional
	Attestation *AttestationRequirement `json:"attestation,omitempty"`

	// Artifact asks for a signed artifact that refers to the image. Not
	// supported yet.
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

// AttestationRequirement asks for a signed in-toto statement. Not supported
// yet.
type AttestationRequirement struct {
	// Type is the predicate type.
	Type     string   `json:"type"`
	SignedBy SignedBy `json:"signedBy"`
	// Quantifier is Any (default), Every or Newest.
	//
	// +optional
	Quantifier string `json:"quantifier,omitempty"`
	// MaxAge is the greatest age of the statement.
	//
	// +optional
	MaxAge *metav1.Duration `json:"maxAge,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	Conditions []Condition `json:"conditions,omitempty"`
}

// ArtifactRequirement asks for a signed referrer of any type. Not supported
// yet.
type ArtifactRequirement struct {
	// Type is the artifact type.
	Type     string   `json:"type"`
	SignedBy SignedBy `json:"signedBy"`
	// Quantifier is Any (default), Every or Newest.
	//
	// +optional
	Quantifier string `json:"quantifier,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	Conditions []Condition `json:"conditions,omitempty"`
}

// Condition is a CEL expression that must be true. Not supported yet.
type Condition struct {
	CEL string `json:"cel"`
	// Message is what a refusal says.
	//
	// +optional
	Message string `json:"message,omitempty"`
}
