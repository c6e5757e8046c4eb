{{- define "orders.labels" -}}
app.kubernetes.io/part-of: orders
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "orders.databaseEnvironment" -}}
- {name: PGHOST, value: {{ .Values.database.host | default (printf "%s-database" .Release.Name) | quote }}}
- {name: PGPORT, value: {{ .Values.database.port | quote }}}
- {name: PGSSLMODE, value: {{ .Values.database.tls.mode | quote }}}
{{- if .Values.database.tls.ca }}
- {name: PGSSLROOTCERT, value: /run/config/orders/database-ca.pem}
{{- end }}
- {name: PGDATABASE, value: {{ .Values.database.name | quote }}}
- {name: PGUSER, value: {{ .Values.database.user | quote }}}
- {name: ORDERS_DB_PASSWORD_FILE, value: /run/secrets/orders/db-password}
{{- end }}

{{/* Where the pods that use the database find the certificate of its authority. */}}
{{- define "orders.databaseMounts" -}}
{{- if .Values.database.tls.ca }}
- {name: database-ca, mountPath: /run/config/orders, readOnly: true}
{{- end }}
{{- end }}

{{- define "orders.databaseVolumes" -}}
{{- if .Values.database.tls.ca }}
- name: database-ca
  configMap:
    name: {{ .Release.Name }}-database-ca
{{- end }}
{{- end }}

{{- define "orders.telemetryEnvironment" -}}
{{- range $name := list "logs" "metrics" }}
{{- $to := index $.Values $name }}
{{- $variable := printf "ORDERS_%s" (upper $name) }}
{{- if $to.url }}
- {name: {{ $variable }}_URL, value: {{ $to.url | quote }}}
{{- if $to.user }}
- {name: {{ $variable }}_USER, value: {{ $to.user | quote }}}
- {name: {{ $variable }}_PASSWORD_FILE, value: /run/secrets/orders/{{ $name }}-password}
{{- end }}
{{- if $to.ca }}
- {name: {{ $variable }}_CA_FILE, value: /run/config/{{ $name }}/ca.pem}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "orders.telemetryMounts" -}}
{{- range $name := list "logs" "metrics" }}
{{- if (index $.Values $name).ca }}
- {name: {{ $name }}-ca, mountPath: /run/config/{{ $name }}, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{- define "orders.telemetryVolumes" -}}
{{- range $name := list "logs" "metrics" }}
{{- if (index $.Values $name).ca }}
- name: {{ $name }}-ca
  configMap:
    name: {{ $.Release.Name }}-{{ $name }}-ca
{{- end }}
{{- end }}
{{- end }}

{{- define "orders.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "orders.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
