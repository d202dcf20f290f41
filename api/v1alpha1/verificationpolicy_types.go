package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// VerificationPolicy says what must be proven, beyond what the cluster's
// policies ask, of images in its own namespace.
//
// It can only add (TRUST R17): whatever it says, an image that a cluster policy
// denies stays denied. Because its author may be trusted with one namespace
// only,
//
//   - its matcher MUST NOT name namespaces: it applies to its own;
//   - its material MUST be inline or in Secrets and ConfigMaps of its own
//     namespace: `file` and `kms` are refused;
//   - objectSelector needs no allowAuthorOptOut: whoever opts out of it falls
//     back to the cluster's policies.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=vp
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
type VerificationPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// Spec is required.
	Spec VerificationPolicySpec `json:"spec"`
	// Status is written by the controller. A reader of files MUST ignore it.
	//
	// +optional
	Status VerificationPolicyStatus `json:"status,omitzero"`
}

// VerificationPolicyList is a list of VerificationPolicy.
//
// +kubebuilder:object:root=true
type VerificationPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []VerificationPolicy `json:"items"`
}
