package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// VerificationPolicyStatus says what the controller made of a policy.
type VerificationPolicyStatus struct {
	// ObservedGeneration is the generation of the spec that the status is about.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions holds Ready: True if the policy compiled and is decided by;
	// False, with the error as its message, if it did not.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Weakenings are the places where the policy asks for less than the
	// defaults do (TRUST R19).
	//
	// +optional
	// +listType=atomic
	Weakenings []string `json:"weakenings,omitempty"`
}
