package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ConditionReady is the type of the only condition of the native kinds. It is
// True while the object is in force as it is written, in the observed generation.
// Otherwise its reason is
// [ReasonExpired] or the reason of the problem (docs/reasons.md), such as
// KeyUnavailable, and its message says where and what was expected.
const ConditionReady = "Ready"

// The reasons of Ready that are no problems.
const (
	// ReasonInForce goes with True.
	ReasonInForce = "InForce"
	// ReasonExpired goes with False: an exception whose time is over is void.
	ReasonExpired = "Expired"
)

// VerificationPolicyStatus says what the controller made of a policy, and what
// the policy does.
type VerificationPolicyStatus struct {
	RulingStatus `json:",inline"`

	// Matched is how many images of running Pods the policy decided in the last
	// audit of the cluster. An image counts in each container of each Pod. Absent
	// until the first audit.
	//
	// +optional
	Matched int64 `json:"matched,omitempty"`

	// Denied is how many of them it denies, or would deny if it enforced.
	//
	// +optional
	Denied int64 `json:"denied,omitempty"`
}

// RulingStatus says what the controller made of an object.
type RulingStatus struct {
	// ObservedGeneration is the generation of the spec that the status is about: the
	// last that was compiled, with every Secret and ConfigMap that it names. It stays
	// at the one before, which stays in force, until those were read.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions holds Ready: True if the object compiled and is decided by;
	// False, with the error as its message, if it did not.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Weakenings are the places where the object asks for less than the defaults
	// do (TRUST R19).
	//
	// +optional
	// +kubebuilder:validation:MaxItems=1000
	// +listType=atomic
	Weakenings []string `json:"weakenings,omitempty"`
}
