{{- define "idi-match.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}-idi-match
{{- end }}
{{- define "idi-match.selector" -}}
app.kubernetes.io/name: idi-match
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "idi-match.labels" -}}
{{ include "idi-match.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
