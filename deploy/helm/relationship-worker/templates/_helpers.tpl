{{/* Names, labels, and what the worker and `init` have in common. */}}
{{- define "worker.name" -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- end -}}

{{- define "worker.selector" -}}
app.kubernetes.io/name: relationship-worker
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "worker.labels" -}}
{{ include "worker.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "worker.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "worker.pod" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532  # mounted secrets are for it alone
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "worker.container" -}}
image: {{ include "worker.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{/* Called with the root and the name of the Secret. */}}
{{- define "worker.kafka" -}}
{{- $kafka := .root.Values.kafka -}}
- name: RELATIONSHIP_WORKER_KAFKA_SECURITY_PROTOCOL
  value: {{ $kafka.securityProtocol | quote }}
{{- if hasSuffix "SSL" $kafka.securityProtocol }}
- name: RELATIONSHIP_WORKER_KAFKA_CA_FILE
  value: /etc/relationship-worker/kafka/ca.crt
{{- if $kafka.clientCertificate }}
- name: RELATIONSHIP_WORKER_KAFKA_CERTIFICATE_FILE
  value: /etc/relationship-worker/kafka/tls.crt
- name: RELATIONSHIP_WORKER_KAFKA_KEY_FILE
  value: /etc/relationship-worker/kafka/tls.key
{{- end }}
{{- end }}
{{- if hasPrefix "SASL" $kafka.securityProtocol }}
- name: RELATIONSHIP_WORKER_KAFKA_SASL_MECHANISM
  value: {{ $kafka.saslMechanism | quote }}
{{- if eq $kafka.saslMechanism "OAUTHBEARER" }}
- name: RELATIONSHIP_WORKER_KAFKA_TOKEN_FILE
  value: /etc/relationship-worker/kafka/token
{{- else }}
- name: RELATIONSHIP_WORKER_KAFKA_USERNAME
  valueFrom:
    secretKeyRef: {name: {{ .secret }}, key: username}
- name: RELATIONSHIP_WORKER_KAFKA_PASSWORD_FILE
  value: /etc/relationship-worker/kafka/password
{{- end }}
{{- end }}
{{- end -}}

{{/* Whether there is anything to mount. */}}
{{- define "worker.kafkaSecret" -}}
{{- if ne .Values.kafka.securityProtocol "PLAINTEXT" }}yes{{ end -}}
{{- end -}}

{{- define "worker.environment" -}}
- name: KAFKA_BOOTSTRAP_SERVERS
  value: {{ .Values.kafka.bootstrapServers | quote }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* Secrets as files for PostgreSQL. Kubernetes renews the files; the worker reads them at each new connection. */}}
{{- define "worker.databaseFiles" -}}
{{- $at := "/etc/relationship-worker/database" -}}
{{- $names := dict "ca.crt" "CA" "tls.crt" "CERTIFICATE" "tls.key" "KEY" "password" "PASSWORD" -}}
{{- range .Values.database.files }}
- name: RELATIONSHIP_WORKER_DATABASE_{{ get $names . }}_FILE
  value: {{ $at }}/{{ . }}
{{- end }}
{{- end -}}

{{- define "worker.databaseMount" -}}
- {name: database-files, mountPath: /etc/relationship-worker/database, readOnly: true}
{{- end -}}
