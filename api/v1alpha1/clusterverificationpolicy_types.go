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
// +kubebuilder:resource:scope=Cluster,shortName=cvp,categories=bonafide
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Matched",type=integer,JSONPath=`.status.matched`
// +kubebuilder:printcolumn:name="Denied",type=integer,JSONPath=`.status.denied`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.spec.mode != 'Enforce' || (has(self.spec.allowAuthorOptOut) && self.spec.allowAuthorOptOut) || !(self.spec.?match.?objectSelector.hasValue() || (has(self.spec.match) && has(self.spec.match.kinds) && !('Pod' in self.spec.match.kinds)))",message="whoever writes a workload can write it so that objectSelector, or kinds without Pod, leave it out: an enforcing policy that selects so needs allowAuthorOptOut: true"
// +kubebuilder:validation:XValidation:rule="self.spec.signers.all(s, !s.?sigstore.?key.?secretRef.hasValue() || s.?sigstore.?key.?secretRef.?namespace.hasValue())",message="a ClusterVerificationPolicy belongs to no namespace: its secretRef needs a namespace"
// +kubebuilder:validation:XValidation:rule="self.spec.signers.all(s, !s.?sigstore.?key.?configMapRef.hasValue() || s.?sigstore.?key.?configMapRef.?namespace.hasValue())",message="a ClusterVerificationPolicy belongs to no namespace: its configMapRef needs a namespace"
type ClusterVerificationPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// Spec says what must be proven of which images. Required.
	Spec VerificationPolicySpec `json:"spec"`
	// Status says what the controller made of the object. Only the controller
	// writes it; a reader of files MUST ignore it.
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
