package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ClusterVerificationPolicy says what must be proven of images anywhere in the
// cluster before they may run.
//
// Every policy that matches an image MUST allow it on its own (TRUST R15): a
// second policy never softens the first.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=cvp
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
type ClusterVerificationPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// Spec is required.
	Spec VerificationPolicySpec `json:"spec"`
	// Status is written by the controller. A reader of files MUST ignore it.
	//
	// +optional
	Status VerificationPolicyStatus `json:"status,omitzero"`
}

// ClusterVerificationPolicyList is a list of ClusterVerificationPolicy.
//
// +kubebuilder:object:root=true
type ClusterVerificationPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []ClusterVerificationPolicy `json:"items"`
}
