export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

export type Database = {
  "public": {
    Tables: {
      "agent_logs": {
        Row: {
          "agent_index": number | null;
          "agent_name": string;
          "completed_at": string | null;
          "created_at": string;
          "duration_ms": number | null;
          "error_message": string | null;
          "execution_id": string | null;
          "id": string;
          "input": Json | null;
          "metadata": NonNullable<Json>;
          "output": Json | null;
          "project_id": string | null;
          "started_at": string;
          "status": string;
          "updated_at": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "agent_index"?: number | null;
          "agent_name": string;
          "completed_at"?: string | null;
          "created_at"?: string;
          "duration_ms"?: number | null;
          "error_message"?: string | null;
          "execution_id"?: string | null;
          "id"?: string;
          "input"?: Json | null;
          "metadata"?: NonNullable<Json>;
          "output"?: Json | null;
          "project_id"?: string | null;
          "started_at"?: string;
          "status"?: string;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Update: {
          "agent_index"?: number | null;
          "agent_name"?: string;
          "completed_at"?: string | null;
          "created_at"?: string;
          "duration_ms"?: number | null;
          "error_message"?: string | null;
          "execution_id"?: string | null;
          "id"?: string;
          "input"?: Json | null;
          "metadata"?: NonNullable<Json>;
          "output"?: Json | null;
          "project_id"?: string | null;
          "started_at"?: string;
          "status"?: string;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "agent_logs_execution_id_fkey";
            columns: ["execution_id"];
            isOneToOne: false;
            referencedRelation: "workflow_executions";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "agent_logs_execution_id_fkey";
            columns: ["execution_id"];
            isOneToOne: false;
            referencedRelation: "workflow_history";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "agent_logs_user_id_project_id_fkey";
            columns: ["user_id", "project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["user_id", "id"];
          },
        ];
      };
      "agent_messages": {
        Row: {
          "agent_name": string;
          "content": string;
          "context_data": NonNullable<Json>;
          "created_at": string;
          "error_details": string | null;
          "id": string;
          "message_type": string;
          "processed_at": string | null;
          "status": string;
          "tool_calls": Json | null;
          "updated_at": string;
          "user_id": string;
          "workflow_execution_id": string;
        };
        ComputedFields: never;
        Insert: {
          "agent_name": string;
          "content"?: string;
          "context_data"?: NonNullable<Json>;
          "created_at"?: string;
          "error_details"?: string | null;
          "id"?: string;
          "message_type": string;
          "processed_at"?: string | null;
          "status"?: string;
          "tool_calls"?: Json | null;
          "updated_at"?: string;
          "user_id": string;
          "workflow_execution_id": string;
        };
        Update: {
          "agent_name"?: string;
          "content"?: string;
          "context_data"?: NonNullable<Json>;
          "created_at"?: string;
          "error_details"?: string | null;
          "id"?: string;
          "message_type"?: string;
          "processed_at"?: string | null;
          "status"?: string;
          "tool_calls"?: Json | null;
          "updated_at"?: string;
          "user_id"?: string;
          "workflow_execution_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "agent_messages_workflow_execution_id_fkey";
            columns: ["workflow_execution_id"];
            isOneToOne: false;
            referencedRelation: "workflow_executions";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "agent_messages_workflow_execution_id_fkey";
            columns: ["workflow_execution_id"];
            isOneToOne: false;
            referencedRelation: "workflow_history";
            referencedColumns: ["id"];
          },
        ];
      };
      "api_keys": {
        Row: {
          "created_at": string;
          "data_key_id": string | null;
          "encrypted_key": string | null;
          "generation": number;
          "id": string;
          "key_hash": string | null;
          "label": string;
          "masked_key": string;
          "metadata": NonNullable<Json>;
          "provider": string;
          "revoked_at": string | null;
          "status": string;
          "updated_at": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "data_key_id"?: never;
          "encrypted_key"?: string | null;
          "generation"?: number;
          "id"?: string;
          "key_hash"?: string | null;
          "label"?: string;
          "masked_key"?: string;
          "metadata"?: NonNullable<Json>;
          "provider": string;
          "revoked_at"?: string | null;
          "status"?: string;
          "updated_at"?: string;
          "user_id": string;
        };
        Update: {
          "created_at"?: string;
          "data_key_id"?: never;
          "encrypted_key"?: string | null;
          "generation"?: number;
          "id"?: string;
          "key_hash"?: string | null;
          "label"?: string;
          "masked_key"?: string;
          "metadata"?: NonNullable<Json>;
          "provider"?: string;
          "revoked_at"?: string | null;
          "status"?: string;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Relationships: [];
      };
      "behavior_patterns": {
        Row: {
          "actions": NonNullable<Json>;
          "aliases": (string)[];
          "confidence": number;
          "context": NonNullable<Json>;
          "created_at": string;
          "embedding_model": string | null;
          "failure_count": number;
          "final_outcome": string;
          "id": string;
          "last_used_at": string | null;
          "other_contexts": NonNullable<Json>;
          "partial_count": number;
          "success_count": number;
          "trigger": string;
          "trigger_embedding": string | null;
          "updated_at": string;
          "use_count": number;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "actions"?: NonNullable<Json>;
          "aliases"?: (string)[];
          "confidence"?: number;
          "context"?: NonNullable<Json>;
          "created_at"?: string;
          "embedding_model"?: string | null;
          "failure_count"?: number;
          "final_outcome": string;
          "id"?: string;
          "last_used_at"?: string | null;
          "other_contexts"?: NonNullable<Json>;
          "partial_count"?: number;
          "success_count"?: number;
          "trigger": string;
          "trigger_embedding"?: string | null;
          "updated_at"?: string;
          "use_count"?: number;
          "user_id": string;
        };
        Update: {
          "actions"?: NonNullable<Json>;
          "aliases"?: (string)[];
          "confidence"?: number;
          "context"?: NonNullable<Json>;
          "created_at"?: string;
          "embedding_model"?: string | null;
          "failure_count"?: number;
          "final_outcome"?: string;
          "id"?: string;
          "last_used_at"?: string | null;
          "other_contexts"?: NonNullable<Json>;
          "partial_count"?: number;
          "success_count"?: number;
          "trigger"?: string;
          "trigger_embedding"?: string | null;
          "updated_at"?: string;
          "use_count"?: number;
          "user_id"?: string;
        };
        Relationships: [];
      };
      "chat_sessions": {
        Row: {
          "created_at": string;
          "id": string;
          "is_archived": boolean;
          "last_message_at": string | null;
          "metadata": NonNullable<Json>;
          "model": string | null;
          "provider": string | null;
          "system_prompt": string | null;
          "title": string | null;
          "updated_at": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "id"?: string;
          "is_archived"?: boolean;
          "last_message_at"?: string | null;
          "metadata"?: NonNullable<Json>;
          "model"?: string | null;
          "provider"?: string | null;
          "system_prompt"?: string | null;
          "title"?: string | null;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Update: {
          "created_at"?: string;
          "id"?: string;
          "is_archived"?: boolean;
          "last_message_at"?: string | null;
          "metadata"?: NonNullable<Json>;
          "model"?: string | null;
          "provider"?: string | null;
          "system_prompt"?: string | null;
          "title"?: string | null;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Relationships: [];
      };
      "cli_sessions": {
        Row: {
          "client_version": string | null;
          "closed_at": string | null;
          "created_at": string;
          "expires_at": string;
          "id": string;
          "last_seen_at": string;
          "metadata": NonNullable<Json>;
          "name": string | null;
          "platform": string | null;
          "project_id": string | null;
          "status": string;
          "ttl_seconds": number;
          "updated_at": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "client_version"?: string | null;
          "closed_at"?: string | null;
          "created_at"?: string;
          "expires_at"?: string;
          "id"?: string;
          "last_seen_at"?: string;
          "metadata"?: NonNullable<Json>;
          "name"?: string | null;
          "platform"?: string | null;
          "project_id"?: string | null;
          "status"?: string;
          "ttl_seconds"?: number;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Update: {
          "client_version"?: string | null;
          "closed_at"?: string | null;
          "created_at"?: string;
          "expires_at"?: string;
          "id"?: string;
          "last_seen_at"?: string;
          "metadata"?: NonNullable<Json>;
          "name"?: string | null;
          "platform"?: string | null;
          "project_id"?: string | null;
          "status"?: string;
          "ttl_seconds"?: number;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "cli_sessions_user_id_project_id_fkey";
            columns: ["user_id", "project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["user_id", "id"];
          },
        ];
      };
      "conversations": {
        Row: {
          "channel": string;
          "content": string | null;
          "conversation_id": string;
          "created_at": string;
          "id": string;
          "last_message_at": string | null;
          "metadata": NonNullable<Json>;
          "role": string | null;
          "session_id": string | null;
          "status": string;
          "updated_at": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "channel"?: string;
          "content"?: string | null;
          "conversation_id"?: string;
          "created_at"?: string;
          "id"?: string;
          "last_message_at"?: string | null;
          "metadata"?: NonNullable<Json>;
          "role"?: string | null;
          "session_id"?: string | null;
          "status"?: string;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Update: {
          "channel"?: string;
          "content"?: string | null;
          "conversation_id"?: string;
          "created_at"?: string;
          "id"?: string;
          "last_message_at"?: string | null;
          "metadata"?: NonNullable<Json>;
          "role"?: string | null;
          "session_id"?: string | null;
          "status"?: string;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "conversations_user_id_fkey";
            columns: ["user_id"];
            isOneToOne: false;
            referencedRelation: "profiles";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "conversations_user_id_fkey";
            columns: ["user_id"];
            isOneToOne: false;
            referencedRelation: "user_profiles";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "conversations_user_id_fkey";
            columns: ["user_id"];
            isOneToOne: false;
            referencedRelation: "user_profiles";
            referencedColumns: ["user_id"];
          },
        ];
      };
      "deployment_logs": {
        Row: {
          "build_log": string | null;
          "commit_sha": string | null;
          "completed_at": string | null;
          "created_at": string;
          "deployment_url": string | null;
          "duration_ms": number | null;
          "environment": string;
          "error_message": string | null;
          "id": string;
          "metadata": NonNullable<Json>;
          "project_id": string | null;
          "provider": string;
          "started_at": string;
          "status": string;
          "updated_at": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "build_log"?: string | null;
          "commit_sha"?: string | null;
          "completed_at"?: string | null;
          "created_at"?: string;
          "deployment_url"?: string | null;
          "duration_ms"?: number | null;
          "environment"?: string;
          "error_message"?: string | null;
          "id"?: string;
          "metadata"?: NonNullable<Json>;
          "project_id"?: string | null;
          "provider": string;
          "started_at"?: string;
          "status"?: string;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Update: {
          "build_log"?: string | null;
          "commit_sha"?: string | null;
          "completed_at"?: string | null;
          "created_at"?: string;
          "deployment_url"?: string | null;
          "duration_ms"?: number | null;
          "environment"?: string;
          "error_message"?: string | null;
          "id"?: string;
          "metadata"?: NonNullable<Json>;
          "project_id"?: string | null;
          "provider"?: string;
          "started_at"?: string;
          "status"?: string;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "deployment_logs_user_id_project_id_fkey";
            columns: ["user_id", "project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["user_id", "id"];
          },
        ];
      };
      "documents_generated": {
        Row: {
          "created_at": string;
          "document_type": string;
          "external_id": string | null;
          "id": string;
          "metadata": NonNullable<Json>;
          "service": string | null;
          "task_id": string | null;
          "title": string;
          "url": string | null;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "document_type": string;
          "external_id"?: string | null;
          "id"?: string;
          "metadata"?: NonNullable<Json>;
          "service"?: string | null;
          "task_id"?: string | null;
          "title": string;
          "url"?: string | null;
          "user_id": string;
        };
        Update: {
          "created_at"?: string;
          "document_type"?: string;
          "external_id"?: string | null;
          "id"?: string;
          "metadata"?: NonNullable<Json>;
          "service"?: string | null;
          "task_id"?: string | null;
          "title"?: string;
          "url"?: string | null;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "documents_generated_user_id_task_id_fkey";
            columns: ["user_id", "task_id"];
            isOneToOne: false;
            referencedRelation: "task_history";
            referencedColumns: ["user_id", "id"];
          },
        ];
      };
      "execution_logs": {
        Row: {
          "agent_type": string;
          "created_at": string;
          "id": string;
          "is_keyed": boolean;
          "level": string;
          "message": string;
          "metadata": NonNullable<Json>;
          "seq": number;
          "step": string | null;
          "task_id": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "agent_type"?: string;
          "created_at"?: string;
          "id"?: string;
          "is_keyed"?: boolean;
          "level"?: string;
          "message": string;
          "metadata"?: NonNullable<Json>;
          "seq": number;
          "step"?: string | null;
          "task_id": string;
          "user_id": string;
        };
        Update: {
          "agent_type"?: string;
          "created_at"?: string;
          "id"?: string;
          "is_keyed"?: boolean;
          "level"?: string;
          "message"?: string;
          "metadata"?: NonNullable<Json>;
          "seq"?: number;
          "step"?: string | null;
          "task_id"?: string;
          "user_id"?: string;
        };
        Relationships: [];
      };
      "leads": {
        Row: {
          "assigned_to": string | null;
          "budget_range": string | null;
          "company": string | null;
          "created_at": string;
          "email": string | null;
          "id": string;
          "lead_score": number;
          "metadata": NonNullable<Json>;
          "name": string | null;
          "notes": string | null;
          "phone": string | null;
          "services_interested": (string)[];
          "source": string | null;
          "status": Database["public"]["Enums"]["lead_status"];
          "timeline": string | null;
          "updated_at": string;
        };
        ComputedFields: never;
        Insert: {
          "assigned_to"?: string | null;
          "budget_range"?: string | null;
          "company"?: string | null;
          "created_at"?: string;
          "email"?: string | null;
          "id"?: string;
          "lead_score"?: number;
          "metadata"?: NonNullable<Json>;
          "name"?: string | null;
          "notes"?: string | null;
          "phone"?: string | null;
          "services_interested"?: (string)[];
          "source"?: string | null;
          "status"?: Database["public"]["Enums"]["lead_status"];
          "timeline"?: string | null;
          "updated_at"?: string;
        };
        Update: {
          "assigned_to"?: string | null;
          "budget_range"?: string | null;
          "company"?: string | null;
          "created_at"?: string;
          "email"?: string | null;
          "id"?: string;
          "lead_score"?: number;
          "metadata"?: NonNullable<Json>;
          "name"?: string | null;
          "notes"?: string | null;
          "phone"?: string | null;
          "services_interested"?: (string)[];
          "source"?: string | null;
          "status"?: Database["public"]["Enums"]["lead_status"];
          "timeline"?: string | null;
          "updated_at"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "leads_assigned_to_fkey";
            columns: ["assigned_to"];
            isOneToOne: false;
            referencedRelation: "profiles";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "leads_assigned_to_fkey";
            columns: ["assigned_to"];
            isOneToOne: false;
            referencedRelation: "user_profiles";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "leads_assigned_to_fkey";
            columns: ["assigned_to"];
            isOneToOne: false;
            referencedRelation: "user_profiles";
            referencedColumns: ["user_id"];
          },
        ];
      };
      "memories": {
        Row: {
          "content": string;
          "created_at": string;
          "embedding": string | null;
          "embedding_model": string | null;
          "id": string;
          "metadata": NonNullable<Json>;
          "type": string;
          "updated_at": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "content": string;
          "created_at"?: string;
          "embedding"?: string | null;
          "embedding_model"?: string | null;
          "id"?: string;
          "metadata"?: NonNullable<Json>;
          "type"?: string;
          "updated_at"?: string;
          "user_id": string;
        };
        Update: {
          "content"?: string;
          "created_at"?: string;
          "embedding"?: string | null;
          "embedding_model"?: string | null;
          "id"?: string;
          "metadata"?: NonNullable<Json>;
          "type"?: string;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Relationships: [];
      };
      "messages": {
        Row: {
          "content": string;
          "conversation_id": string | null;
          "created_at": string;
          "id": string;
          "message_type": string;
          "metadata": NonNullable<Json>;
          "model": string | null;
          "parent_message_id": string | null;
          "role": string;
          "sender_id": string | null;
          "sender_type": string;
          "session_id": string | null;
          "status": string;
          "tokens_used": number | null;
          "updated_at": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "content": string;
          "conversation_id"?: string | null;
          "created_at"?: string;
          "id"?: string;
          "message_type"?: string;
          "metadata"?: NonNullable<Json>;
          "model"?: string | null;
          "parent_message_id"?: string | null;
          "role": string;
          "sender_id"?: string | null;
          "sender_type": string;
          "session_id"?: string | null;
          "status"?: string;
          "tokens_used"?: number | null;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Update: {
          "content"?: string;
          "conversation_id"?: string | null;
          "created_at"?: string;
          "id"?: string;
          "message_type"?: string;
          "metadata"?: NonNullable<Json>;
          "model"?: string | null;
          "parent_message_id"?: string | null;
          "role"?: string;
          "sender_id"?: string | null;
          "sender_type"?: string;
          "session_id"?: string | null;
          "status"?: string;
          "tokens_used"?: number | null;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "messages_user_id_conversation_id_fkey";
            columns: ["user_id", "conversation_id"];
            isOneToOne: false;
            referencedRelation: "conversations";
            referencedColumns: ["user_id", "conversation_id"];
          },
          {
            foreignKeyName: "messages_user_id_parent_message_id_fkey";
            columns: ["user_id", "parent_message_id"];
            isOneToOne: false;
            referencedRelation: "messages";
            referencedColumns: ["user_id", "id"];
          },
          {
            foreignKeyName: "messages_user_id_session_id_fkey";
            columns: ["user_id", "session_id"];
            isOneToOne: false;
            referencedRelation: "chat_sessions";
            referencedColumns: ["user_id", "id"];
          },
        ];
      };
      "mira_behavioral_events": {
        Row: {
          "clock_skew_ms": number | null;
          "created_at": string;
          "event_id": string;
          "event_type": string;
          "id": string;
          "ingest_seq": number;
          "is_clock_suspect": boolean;
          "module": string;
          "occurred_at": string;
          "page": string;
          "payload": NonNullable<Json>;
          "received_at": string;
          "session_id": string;
          "target": string | null;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "clock_skew_ms"?: number | null;
          "created_at"?: string;
          "event_id": string;
          "event_type": string;
          "id": string;
          "ingest_seq": number;
          "is_clock_suspect"?: boolean;
          "module": string;
          "occurred_at": string;
          "page": string;
          "payload"?: NonNullable<Json>;
          "received_at"?: string;
          "session_id": string;
          "target"?: string | null;
          "user_id": string;
        };
        Update: {
          "clock_skew_ms"?: number | null;
          "created_at"?: string;
          "event_id"?: string;
          "event_type"?: string;
          "id"?: string;
          "ingest_seq"?: number;
          "is_clock_suspect"?: boolean;
          "module"?: string;
          "occurred_at"?: string;
          "page"?: string;
          "payload"?: NonNullable<Json>;
          "received_at"?: string;
          "session_id"?: string;
          "target"?: string | null;
          "user_id"?: string;
        };
        Relationships: [];
      };
      "mira_learned_patterns": {
        Row: {
          "algorithm": string;
          "behavior_pattern_id": string | null;
          "confidence": number;
          "created_at": string;
          "evidence": (string)[];
          "frequency": number;
          "id": string;
          "last_detected_at": string;
          "metadata": NonNullable<Json>;
          "module": string | null;
          "observed_confidence": number;
          "pattern_key": string;
          "pattern_type": string;
          "run_count": number;
          "run_successes": number;
          "status": string;
          "supersedes_id": string | null;
          "updated_at": string;
          "user_id": string;
          "valid_from": string;
          "valid_to": string | null;
          "variant": string;
          "workflow_id": string | null;
        };
        ComputedFields: never;
        Insert: {
          "algorithm"?: string;
          "behavior_pattern_id"?: string | null;
          "confidence"?: number;
          "created_at"?: string;
          "evidence"?: (string)[];
          "frequency"?: number;
          "id"?: string;
          "last_detected_at"?: string;
          "metadata"?: NonNullable<Json>;
          "module"?: string | null;
          "observed_confidence"?: number;
          "pattern_key": string;
          "pattern_type": string;
          "run_count"?: number;
          "run_successes"?: number;
          "status"?: string;
          "supersedes_id"?: string | null;
          "updated_at"?: string;
          "user_id": string;
          "valid_from"?: string;
          "valid_to"?: string | null;
          "variant"?: string;
          "workflow_id"?: string | null;
        };
        Update: {
          "algorithm"?: string;
          "behavior_pattern_id"?: string | null;
          "confidence"?: number;
          "created_at"?: string;
          "evidence"?: (string)[];
          "frequency"?: number;
          "id"?: string;
          "last_detected_at"?: string;
          "metadata"?: NonNullable<Json>;
          "module"?: string | null;
          "observed_confidence"?: number;
          "pattern_key"?: string;
          "pattern_type"?: string;
          "run_count"?: number;
          "run_successes"?: number;
          "status"?: string;
          "supersedes_id"?: string | null;
          "updated_at"?: string;
          "user_id"?: string;
          "valid_from"?: string;
          "valid_to"?: string | null;
          "variant"?: string;
          "workflow_id"?: string | null;
        };
        Relationships: [
          {
            foreignKeyName: "mira_learned_patterns_behavior_pattern_id_fkey";
            columns: ["behavior_pattern_id"];
            isOneToOne: false;
            referencedRelation: "behavior_patterns";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "mira_learned_patterns_supersedes_id_fkey";
            columns: ["supersedes_id"];
            isOneToOne: false;
            referencedRelation: "mira_learned_patterns";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "mira_learned_patterns_workflow_id_fkey";
            columns: ["workflow_id"];
            isOneToOne: false;
            referencedRelation: "mira_workflows";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "mira_learned_patterns_workflow_id_fkey";
            columns: ["workflow_id"];
            isOneToOne: false;
            referencedRelation: "workflows";
            referencedColumns: ["id"];
          },
        ];
      };
      "mira_tool_definitions": {
        Row: {
          "created_at": string;
          "description": string | null;
          "function_path": string;
          "id": string;
          "is_enabled": boolean;
          "is_read_only": boolean;
          "name": string;
          "options": NonNullable<Json>;
          "schema": NonNullable<Json>;
          "updated_at": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "description"?: string | null;
          "function_path": string;
          "id"?: string;
          "is_enabled"?: boolean;
          "is_read_only"?: boolean;
          "name": string;
          "options"?: NonNullable<Json>;
          "schema": NonNullable<Json>;
          "updated_at"?: string;
        };
        Update: {
          "created_at"?: string;
          "description"?: string | null;
          "function_path"?: string;
          "id"?: string;
          "is_enabled"?: boolean;
          "is_read_only"?: boolean;
          "name"?: string;
          "options"?: NonNullable<Json>;
          "schema"?: NonNullable<Json>;
          "updated_at"?: string;
        };
        Relationships: [];
      };
      "mira_workflow_edges": {
        Row: {
          "condition_label": string | null;
          "id": string;
          "source_node_id": string;
          "target_node_id": string;
          "user_id": string;
          "workflow_id": string;
        };
        ComputedFields: never;
        Insert: {
          "condition_label"?: string | null;
          "id"?: string;
          "source_node_id": string;
          "target_node_id": string;
          "user_id"?: string;
          "workflow_id": string;
        };
        Update: {
          "condition_label"?: string | null;
          "id"?: string;
          "source_node_id"?: string;
          "target_node_id"?: string;
          "user_id"?: string;
          "workflow_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "mira_workflow_edges_user_id_workflow_id_fkey";
            columns: ["user_id", "workflow_id"];
            isOneToOne: false;
            referencedRelation: "mira_workflows";
            referencedColumns: ["user_id", "id"];
          },
          {
            foreignKeyName: "mira_workflow_edges_user_id_workflow_id_fkey";
            columns: ["user_id", "workflow_id"];
            isOneToOne: false;
            referencedRelation: "workflows";
            referencedColumns: ["user_id", "id"];
          },
          {
            foreignKeyName: "mira_workflow_edges_workflow_id_source_node_id_fkey";
            columns: ["workflow_id", "source_node_id"];
            isOneToOne: false;
            referencedRelation: "mira_workflow_nodes";
            referencedColumns: ["workflow_id", "id"];
          },
          {
            foreignKeyName: "mira_workflow_edges_workflow_id_target_node_id_fkey";
            columns: ["workflow_id", "target_node_id"];
            isOneToOne: false;
            referencedRelation: "mira_workflow_nodes";
            referencedColumns: ["workflow_id", "id"];
          },
        ];
      };
      "mira_workflow_nodes": {
        Row: {
          "config": NonNullable<Json>;
          "id": string;
          "name": string;
          "position_x": number;
          "position_y": number;
          "type": string;
          "user_id": string;
          "workflow_id": string;
        };
        ComputedFields: never;
        Insert: {
          "config"?: NonNullable<Json>;
          "id"?: string;
          "name": string;
          "position_x"?: number;
          "position_y"?: number;
          "type": string;
          "user_id"?: string;
          "workflow_id": string;
        };
        Update: {
          "config"?: NonNullable<Json>;
          "id"?: string;
          "name"?: string;
          "position_x"?: number;
          "position_y"?: number;
          "type"?: string;
          "user_id"?: string;
          "workflow_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "mira_workflow_nodes_user_id_workflow_id_fkey";
            columns: ["user_id", "workflow_id"];
            isOneToOne: false;
            referencedRelation: "mira_workflows";
            referencedColumns: ["user_id", "id"];
          },
          {
            foreignKeyName: "mira_workflow_nodes_user_id_workflow_id_fkey";
            columns: ["user_id", "workflow_id"];
            isOneToOne: false;
            referencedRelation: "workflows";
            referencedColumns: ["user_id", "id"];
          },
        ];
      };
      "mira_workflow_state": {
        Row: {
          "cost_micros": number;
          "created_at": string;
          "current_node_id": string | null;
          "cursor": NonNullable<Json>;
          "deadline_at": string | null;
          "depth": number;
          "due_at": string | null;
          "error": Json | null;
          "finished_at": string | null;
          "id": string;
          "idempotency_key": string | null;
          "input": NonNullable<Json>;
          "last_event": number;
          "lease_epoch": number;
          "leased_at": string | null;
          "max_cost_micros": number | null;
          "max_steps": number | null;
          "max_tokens": number | null;
          "next_seq": number;
          "number": number;
          "output": Json | null;
          "parent_item": number | null;
          "parent_run_id": string | null;
          "parent_seq": number | null;
          "priority": number;
          "stalls": number;
          "started_at": string | null;
          "state_data": NonNullable<Json>;
          "status": string;
          "steps_used": number;
          "straight_node": number | null;
          "thread_id": string | null;
          "tokens_used": number;
          "updated_at": string;
          "user_id": string;
          "version_id": number;
          "workflow_id": string | null;
        };
        ComputedFields: never;
        Insert: {
          "cost_micros"?: number;
          "created_at"?: string;
          "current_node_id"?: string | null;
          "cursor"?: NonNullable<Json>;
          "deadline_at"?: string | null;
          "depth"?: number;
          "due_at"?: string | null;
          "error"?: Json | null;
          "finished_at"?: string | null;
          "id"?: string;
          "idempotency_key"?: string | null;
          "input"?: NonNullable<Json>;
          "last_event"?: number;
          "lease_epoch"?: number;
          "leased_at"?: string | null;
          "max_cost_micros"?: number | null;
          "max_steps"?: number | null;
          "max_tokens"?: number | null;
          "next_seq"?: number;
          "number"?: number;
          "output"?: Json | null;
          "parent_item"?: number | null;
          "parent_run_id"?: string | null;
          "parent_seq"?: number | null;
          "priority"?: number;
          "stalls"?: number;
          "started_at"?: string | null;
          "state_data"?: NonNullable<Json>;
          "status"?: string;
          "steps_used"?: number;
          "straight_node"?: number | null;
          "thread_id"?: string | null;
          "tokens_used"?: number;
          "updated_at"?: string;
          "user_id": string;
          "version_id": number;
          "workflow_id"?: string | null;
        };
        Update: {
          "cost_micros"?: number;
          "created_at"?: string;
          "current_node_id"?: string | null;
          "cursor"?: NonNullable<Json>;
          "deadline_at"?: string | null;
          "depth"?: number;
          "due_at"?: string | null;
          "error"?: Json | null;
          "finished_at"?: string | null;
          "id"?: string;
          "idempotency_key"?: string | null;
          "input"?: NonNullable<Json>;
          "last_event"?: number;
          "lease_epoch"?: number;
          "leased_at"?: string | null;
          "max_cost_micros"?: number | null;
          "max_steps"?: number | null;
          "max_tokens"?: number | null;
          "next_seq"?: number;
          "number"?: number;
          "output"?: Json | null;
          "parent_item"?: number | null;
          "parent_run_id"?: string | null;
          "parent_seq"?: number | null;
          "priority"?: number;
          "stalls"?: number;
          "started_at"?: string | null;
          "state_data"?: NonNullable<Json>;
          "status"?: string;
          "steps_used"?: number;
          "straight_node"?: number | null;
          "thread_id"?: string | null;
          "tokens_used"?: number;
          "updated_at"?: string;
          "user_id"?: string;
          "version_id"?: number;
          "workflow_id"?: string | null;
        };
        Relationships: [
          {
            foreignKeyName: "mira_workflow_state_id_fkey";
            columns: ["id"];
            isOneToOne: true;
            referencedRelation: "workflow_executions";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "mira_workflow_state_id_fkey";
            columns: ["id"];
            isOneToOne: true;
            referencedRelation: "workflow_history";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "mira_workflow_state_parent_run_id_fkey";
            columns: ["parent_run_id"];
            isOneToOne: false;
            referencedRelation: "mira_workflow_state";
            referencedColumns: ["id"];
          },
        ];
      };
      "mira_workflows": {
        Row: {
          "created_at": string;
          "description": string | null;
          "id": string;
          "input_schema": Json | null;
          "is_active": boolean;
          "limits": NonNullable<Json>;
          "metadata": NonNullable<Json>;
          "name": string;
          "reducers": NonNullable<Json>;
          "updated_at": string;
          "user_id": string;
          "version": number;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "description"?: string | null;
          "id"?: string;
          "input_schema"?: Json | null;
          "is_active"?: boolean;
          "limits"?: NonNullable<Json>;
          "metadata"?: NonNullable<Json>;
          "name": string;
          "reducers"?: NonNullable<Json>;
          "updated_at"?: string;
          "user_id"?: string;
          "version"?: number;
        };
        Update: {
          "created_at"?: string;
          "description"?: string | null;
          "id"?: string;
          "input_schema"?: Json | null;
          "is_active"?: boolean;
          "limits"?: NonNullable<Json>;
          "metadata"?: NonNullable<Json>;
          "name"?: string;
          "reducers"?: NonNullable<Json>;
          "updated_at"?: string;
          "user_id"?: string;
          "version"?: number;
        };
        Relationships: [];
      };
      "profiles": {
        Row: {
          "avatar_url": string | null;
          "bio": string | null;
          "created_at": string;
          "display_name": string | null;
          "email": string | null;
          "full_name": string | null;
          "id": string;
          "locale": string | null;
          "preferences": NonNullable<Json>;
          "timezone": string | null;
          "updated_at": string;
        };
        ComputedFields: never;
        Insert: {
          "avatar_url"?: string | null;
          "bio"?: string | null;
          "created_at"?: string;
          "display_name"?: string | null;
          "email"?: string | null;
          "full_name"?: string | null;
          "id": string;
          "locale"?: string | null;
          "preferences"?: NonNullable<Json>;
          "timezone"?: string | null;
          "updated_at"?: string;
        };
        Update: {
          "avatar_url"?: string | null;
          "bio"?: string | null;
          "created_at"?: string;
          "display_name"?: string | null;
          "email"?: string | null;
          "full_name"?: string | null;
          "id"?: string;
          "locale"?: string | null;
          "preferences"?: NonNullable<Json>;
          "timezone"?: string | null;
          "updated_at"?: string;
        };
        Relationships: [];
      };
      "projects": {
        Row: {
          "created_at": string;
          "current_agent": string | null;
          "description": string | null;
          "error_message": string | null;
          "execution_id": string | null;
          "id": string;
          "metadata": NonNullable<Json>;
          "name": string;
          "progress": number;
          "prompt": string | null;
          "repository_url": string | null;
          "status": string;
          "updated_at": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "current_agent"?: string | null;
          "description"?: string | null;
          "error_message"?: string | null;
          "execution_id"?: string | null;
          "id"?: string;
          "metadata"?: NonNullable<Json>;
          "name": string;
          "progress"?: number;
          "prompt"?: string | null;
          "repository_url"?: string | null;
          "status"?: string;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Update: {
          "created_at"?: string;
          "current_agent"?: string | null;
          "description"?: string | null;
          "error_message"?: string | null;
          "execution_id"?: string | null;
          "id"?: string;
          "metadata"?: NonNullable<Json>;
          "name"?: string;
          "progress"?: number;
          "prompt"?: string | null;
          "repository_url"?: string | null;
          "status"?: string;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "projects_execution_id_fkey";
            columns: ["execution_id"];
            isOneToOne: false;
            referencedRelation: "workflow_executions";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "projects_execution_id_fkey";
            columns: ["execution_id"];
            isOneToOne: false;
            referencedRelation: "workflow_history";
            referencedColumns: ["id"];
          },
        ];
      };
      "prompts": {
        Row: {
          "category": string | null;
          "content": string;
          "created_at": string;
          "description": string | null;
          "id": string;
          "is_favorite": boolean;
          "metadata": NonNullable<Json>;
          "tags": (string)[];
          "title": string;
          "updated_at": string;
          "user_id": string;
          "variables": NonNullable<Json>;
        };
        ComputedFields: never;
        Insert: {
          "category"?: string | null;
          "content": string;
          "created_at"?: string;
          "description"?: string | null;
          "id"?: string;
          "is_favorite"?: boolean;
          "metadata"?: NonNullable<Json>;
          "tags"?: (string)[];
          "title": string;
          "updated_at"?: string;
          "user_id"?: string;
          "variables"?: NonNullable<Json>;
        };
        Update: {
          "category"?: string | null;
          "content"?: string;
          "created_at"?: string;
          "description"?: string | null;
          "id"?: string;
          "is_favorite"?: boolean;
          "metadata"?: NonNullable<Json>;
          "tags"?: (string)[];
          "title"?: string;
          "updated_at"?: string;
          "user_id"?: string;
          "variables"?: NonNullable<Json>;
        };
        Relationships: [];
      };
      "shared_memory": {
        Row: {
          "access_count": number;
          "conversation_id": string | null;
          "created_at": string;
          "id": string;
          "last_accessed_at": string | null;
          "memory_key": string;
          "memory_value": NonNullable<Json>;
          "metadata": NonNullable<Json>;
          "scope": string;
          "updated_at": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "access_count"?: number;
          "conversation_id"?: string | null;
          "created_at"?: string;
          "id"?: string;
          "last_accessed_at"?: string | null;
          "memory_key": string;
          "memory_value"?: NonNullable<Json>;
          "metadata"?: NonNullable<Json>;
          "scope"?: string;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Update: {
          "access_count"?: number;
          "conversation_id"?: string | null;
          "created_at"?: string;
          "id"?: string;
          "last_accessed_at"?: string | null;
          "memory_key"?: string;
          "memory_value"?: NonNullable<Json>;
          "metadata"?: NonNullable<Json>;
          "scope"?: string;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "shared_memory_user_id_conversation_id_fkey";
            columns: ["user_id", "conversation_id"];
            isOneToOne: false;
            referencedRelation: "conversations";
            referencedColumns: ["user_id", "conversation_id"];
          },
        ];
      };
      "task_history": {
        Row: {
          "completed_at": string | null;
          "created_at": string;
          "description": string;
          "duration_ms": number | null;
          "error_message": string | null;
          "execution_id": string | null;
          "id": string;
          "metadata": NonNullable<Json>;
          "output_links": (string)[];
          "output_summary": string | null;
          "result": Json | null;
          "services_used": (string)[];
          "started_at": string | null;
          "status": string;
          "updated_at": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "completed_at"?: string | null;
          "created_at"?: string;
          "description": string;
          "duration_ms"?: number | null;
          "error_message"?: string | null;
          "execution_id"?: string | null;
          "id"?: string;
          "metadata"?: NonNullable<Json>;
          "output_links"?: (string)[];
          "output_summary"?: string | null;
          "result"?: Json | null;
          "services_used"?: (string)[];
          "started_at"?: string | null;
          "status"?: string;
          "updated_at": string;
          "user_id": string;
        };
        Update: {
          "completed_at"?: string | null;
          "created_at"?: string;
          "description"?: string;
          "duration_ms"?: number | null;
          "error_message"?: string | null;
          "execution_id"?: string | null;
          "id"?: string;
          "metadata"?: NonNullable<Json>;
          "output_links"?: (string)[];
          "output_summary"?: string | null;
          "result"?: Json | null;
          "services_used"?: (string)[];
          "started_at"?: string | null;
          "status"?: string;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "task_history_execution_id_fkey";
            columns: ["execution_id"];
            isOneToOne: false;
            referencedRelation: "workflow_executions";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "task_history_execution_id_fkey";
            columns: ["execution_id"];
            isOneToOne: false;
            referencedRelation: "workflow_history";
            referencedColumns: ["id"];
          },
        ];
      };
      "tool_executions": {
        Row: {
          "arguments": Json | null;
          "attempt": number;
          "completed_at": string | null;
          "created_at": string;
          "duration_ms": number | null;
          "error_message": string | null;
          "id": string;
          "project_id": string | null;
          "result": Json | null;
          "run_id": string | null;
          "started_at": string;
          "status": string;
          "step": string | null;
          "task_id": string | null;
          "tool_name": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "arguments"?: Json | null;
          "attempt"?: number;
          "completed_at"?: string | null;
          "created_at": string;
          "duration_ms"?: number | null;
          "error_message"?: string | null;
          "id"?: string;
          "project_id"?: string | null;
          "result"?: Json | null;
          "run_id"?: string | null;
          "started_at"?: string;
          "status"?: string;
          "step"?: string | null;
          "task_id"?: string | null;
          "tool_name": string;
          "user_id": string;
        };
        Update: {
          "arguments"?: Json | null;
          "attempt"?: number;
          "completed_at"?: string | null;
          "created_at"?: string;
          "duration_ms"?: number | null;
          "error_message"?: string | null;
          "id"?: string;
          "project_id"?: string | null;
          "result"?: Json | null;
          "run_id"?: string | null;
          "started_at"?: string;
          "status"?: string;
          "step"?: string | null;
          "task_id"?: string | null;
          "tool_name"?: string;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "tool_executions_run_id_fkey";
            columns: ["run_id"];
            isOneToOne: false;
            referencedRelation: "workflow_executions";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "tool_executions_run_id_fkey";
            columns: ["run_id"];
            isOneToOne: false;
            referencedRelation: "workflow_history";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "tool_executions_user_id_project_id_fkey";
            columns: ["user_id", "project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["user_id", "id"];
          },
        ];
      };
      "user_tokens": {
        Row: {
          "created_at": string;
          "data_key_id": string | null;
          "encrypted_access_token": string | null;
          "encrypted_refresh_token": string | null;
          "expires_at": string | null;
          "generation": number;
          "has_refresh_token": boolean;
          "id": string;
          "masked_token": string;
          "provider": string;
          "refresh_due_at": string | null;
          "refreshed_at": string | null;
          "revoked_at": string | null;
          "scopes": (string)[];
          "status": string;
          "status_reason": string | null;
          "updated_at": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "data_key_id"?: never;
          "encrypted_access_token"?: string | null;
          "encrypted_refresh_token"?: string | null;
          "expires_at"?: string | null;
          "generation"?: number;
          "has_refresh_token"?: never;
          "id"?: string;
          "masked_token"?: string;
          "provider": string;
          "refresh_due_at"?: string | null;
          "refreshed_at"?: string | null;
          "revoked_at"?: string | null;
          "scopes"?: (string)[];
          "status"?: string;
          "status_reason"?: string | null;
          "updated_at"?: string;
          "user_id": string;
        };
        Update: {
          "created_at"?: string;
          "data_key_id"?: never;
          "encrypted_access_token"?: string | null;
          "encrypted_refresh_token"?: string | null;
          "expires_at"?: string | null;
          "generation"?: number;
          "has_refresh_token"?: never;
          "id"?: string;
          "masked_token"?: string;
          "provider"?: string;
          "refresh_due_at"?: string | null;
          "refreshed_at"?: string | null;
          "revoked_at"?: string | null;
          "scopes"?: (string)[];
          "status"?: string;
          "status_reason"?: string | null;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Relationships: [];
      };
      "workflow_executions": {
        Row: {
          "completed_at": string | null;
          "conversation_id": string | null;
          "created_at": string;
          "current_state": string;
          "current_step": string | null;
          "error_message": string | null;
          "execution_plan": NonNullable<Json>;
          "id": string;
          "initiated_by": string | null;
          "participating_agents": (string)[];
          "results": Json | null;
          "started_at": string | null;
          "updated_at": string;
          "user_id": string;
          "workflow_config": NonNullable<Json>;
          "workflow_id": string | null;
          "workflow_type": string | null;
        };
        ComputedFields: never;
        Insert: {
          "completed_at"?: string | null;
          "conversation_id"?: string | null;
          "created_at"?: string;
          "current_state"?: string;
          "current_step"?: string | null;
          "error_message"?: string | null;
          "execution_plan"?: NonNullable<Json>;
          "id"?: string;
          "initiated_by"?: never;
          "participating_agents"?: (string)[];
          "results"?: Json | null;
          "started_at"?: string | null;
          "updated_at"?: string;
          "user_id": string;
          "workflow_config"?: NonNullable<Json>;
          "workflow_id"?: string | null;
          "workflow_type"?: string | null;
        };
        Update: {
          "completed_at"?: string | null;
          "conversation_id"?: string | null;
          "created_at"?: string;
          "current_state"?: string;
          "current_step"?: string | null;
          "error_message"?: string | null;
          "execution_plan"?: NonNullable<Json>;
          "id"?: string;
          "initiated_by"?: never;
          "participating_agents"?: (string)[];
          "results"?: Json | null;
          "started_at"?: string | null;
          "updated_at"?: string;
          "user_id"?: string;
          "workflow_config"?: NonNullable<Json>;
          "workflow_id"?: string | null;
          "workflow_type"?: string | null;
        };
        Relationships: [
          {
            foreignKeyName: "workflow_executions_workflow_id_fkey";
            columns: ["workflow_id"];
            isOneToOne: false;
            referencedRelation: "mira_workflows";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "workflow_executions_workflow_id_fkey";
            columns: ["workflow_id"];
            isOneToOne: false;
            referencedRelation: "workflows";
            referencedColumns: ["id"];
          },
        ];
      };
    };
    Views: {
      "agent_latency": {
        Row: {
          "calls": number | null;
          "failed": number | null;
          "kind": string | null;
          "last_started_at": string | null;
          "median_ms": number | null;
          "name": string | null;
          "p95_ms": number | null;
        };
        ComputedFields: never;
        Relationships: [];
      };
      "conversation_volume": {
        Row: {
          "channel": string;
          "completed": number | null;
          "conversations": number | null;
          "day": string | null;
          "failed": number | null;
          "messages": number | null;
        };
        ComputedFields: never;
        Relationships: [];
      };
      "lead_pipeline": {
        Row: {
          "average_score": number | null;
          "last_changed_at": string | null;
          "leads": number | null;
          "oldest_at": string | null;
          "status": Database["public"]["Enums"]["lead_status"] | null;
          "unassigned": number | null;
        };
        ComputedFields: never;
        Relationships: [];
      };
      "oauth_tokens": {
        Row: {
          "created_at": string;
          "expires_at": string | null;
          "has_refresh_token": boolean;
          "id": string;
          "masked_token": string;
          "provider": string;
          "refreshed_at": string | null;
          "revoked_at": string | null;
          "scopes": (string)[];
          "status": string | null;
          "status_reason": string | null;
          "updated_at": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string | null;
          "expires_at"?: string | null;
          "has_refresh_token"?: boolean | null;
          "id"?: string | null;
          "masked_token"?: string | null;
          "provider"?: string | null;
          "refreshed_at"?: string | null;
          "revoked_at"?: string | null;
          "scopes"?: (string)[] | null;
          "status"?: never;
          "status_reason"?: string | null;
          "updated_at"?: string | null;
          "user_id"?: string | null;
        };
        Update: {
          "created_at"?: string | null;
          "expires_at"?: string | null;
          "has_refresh_token"?: boolean | null;
          "id"?: string | null;
          "masked_token"?: string | null;
          "provider"?: string | null;
          "refreshed_at"?: string | null;
          "revoked_at"?: string | null;
          "scopes"?: (string)[] | null;
          "status"?: never;
          "status_reason"?: string | null;
          "updated_at"?: string | null;
          "user_id"?: string | null;
        };
        Relationships: [];
      };
      "run_outcomes": {
        Row: {
          "cancelled": number | null;
          "completed": number | null;
          "day": string | null;
          "failed": number | null;
          "median_ms": number | null;
          "open": number | null;
          "p95_ms": number | null;
          "runs": number | null;
          "workflow": string | null;
        };
        ComputedFields: never;
        Relationships: [];
      };
      "user_profiles": {
        Row: {
          "avatar_url": string | null;
          "bio": string | null;
          "created_at": string;
          "display_name": string | null;
          "email": string | null;
          "full_name": string | null;
          "id": string;
          "locale": string | null;
          "preferences": NonNullable<Json>;
          "timezone": string | null;
          "updated_at": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "avatar_url"?: string | null;
          "bio"?: string | null;
          "created_at"?: string | null;
          "display_name"?: string | null;
          "email"?: string | null;
          "full_name"?: string | null;
          "id"?: string | null;
          "locale"?: string | null;
          "preferences"?: Json | null;
          "timezone"?: string | null;
          "updated_at"?: string | null;
          "user_id"?: string | null;
        };
        Update: {
          "avatar_url"?: string | null;
          "bio"?: string | null;
          "created_at"?: string | null;
          "display_name"?: string | null;
          "email"?: string | null;
          "full_name"?: string | null;
          "id"?: string | null;
          "locale"?: string | null;
          "preferences"?: Json | null;
          "timezone"?: string | null;
          "updated_at"?: string | null;
          "user_id"?: string | null;
        };
        Relationships: [];
      };
      "workflow_history": {
        Row: {
          "completed_at": string | null;
          "created_at": string;
          "duration_ms": number | null;
          "error_message": string | null;
          "id": string;
          "input": Json | null;
          "result": Json | null;
          "started_at": string | null;
          "status": string;
          "user_id": string;
          "workflow_id": string | null;
          "workflow_name": string | null;
        };
        ComputedFields: never;
        Relationships: [
          {
            foreignKeyName: "workflow_executions_workflow_id_fkey";
            columns: ["workflow_id"];
            isOneToOne: false;
            referencedRelation: "mira_workflows";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "workflow_executions_workflow_id_fkey";
            columns: ["workflow_id"];
            isOneToOne: false;
            referencedRelation: "workflows";
            referencedColumns: ["id"];
          },
        ];
      };
      "workflows": {
        Row: {
          "created_at": string;
          "definition": Json | null;
          "description": string | null;
          "id": string;
          "is_active": boolean;
          "name": string;
          "status": string | null;
          "updated_at": string;
          "user_id": string;
          "version": number;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string | null;
          "definition"?: never;
          "description"?: string | null;
          "id"?: string | null;
          "is_active"?: boolean | null;
          "name"?: string | null;
          "status"?: never;
          "updated_at"?: string | null;
          "user_id"?: string | null;
          "version"?: number | null;
        };
        Update: {
          "created_at"?: string | null;
          "definition"?: never;
          "description"?: string | null;
          "id"?: string | null;
          "is_active"?: boolean | null;
          "name"?: string | null;
          "status"?: never;
          "updated_at"?: string | null;
          "user_id"?: string | null;
          "version"?: number | null;
        };
        Relationships: [];
      };
    };
    Functions: {
      "assign_lead": { Args: { "p_assigned_to": string; "p_lead_id": string }; Returns: undefined };
      "batch_insert_generated_documents": {
        Args: { "p_documents": Json; "p_task_id"?: string; "p_user_id"?: string };
        Returns: {
          "created_at": string;
          "document_type": string;
          "external_id": string | null;
          "id": string;
          "metadata": NonNullable<Json>;
          "service": string | null;
          "task_id": string | null;
          "title": string;
          "url": string | null;
          "user_id": string;
        }[];
        SetofOptions: {
          from: "*";
          to: "documents_generated";
          isOneToOne: false;
          isSetofReturn: true;
        };
      };
      "capture_lead": {
        Args: {
          "p_budget_range"?: string;
          "p_company"?: string;
          "p_email"?: string;
          "p_message"?: string;
          "p_name"?: string;
          "p_phone"?: string;
          "p_services_interested"?: (string)[];
          "p_source"?: string;
          "p_timeline"?: string;
        };
        Returns: undefined;
      };
      "choose_pattern_status": {
        Args: { "p_pattern_id": string; "p_status": string };
        Returns: {
          "algorithm": string;
          "behavior_pattern_id": string | null;
          "confidence": number;
          "created_at": string;
          "evidence": (string)[];
          "frequency": number;
          "id": string;
          "last_detected_at": string;
          "metadata": NonNullable<Json>;
          "module": string | null;
          "observed_confidence": number;
          "pattern_key": string;
          "pattern_type": string;
          "run_count": number;
          "run_successes": number;
          "status": string;
          "supersedes_id": string | null;
          "updated_at": string;
          "user_id": string;
          "valid_from": string;
          "valid_to": string | null;
          "variant": string;
          "workflow_id": string | null;
        };
        SetofOptions: {
          from: "*";
          to: "mira_learned_patterns";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "close_cli_session": {
        Args: { "p_session_id": string; "p_user_id"?: string };
        Returns: {
          "client_version": string | null;
          "closed_at": string | null;
          "created_at": string;
          "expires_at": string;
          "id": string;
          "last_seen_at": string;
          "metadata": NonNullable<Json>;
          "name": string | null;
          "platform": string | null;
          "project_id": string | null;
          "status": string;
          "ttl_seconds": number;
          "updated_at": string;
          "user_id": string;
        };
        SetofOptions: {
          from: "*";
          to: "cli_sessions";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "delete_lead": { Args: { "p_lead_id": string }; Returns: undefined };
      "delete_old_execution_logs": {
        Args: { "p_days"?: number; "p_limit"?: number; "p_user_id"?: string };
        Returns: number;
      };
      "delete_user_tokens": {
        Args: { "p_provider"?: string; "p_user_id"?: string };
        Returns: Json;
      };
      "find_similar_patterns": {
        Args: {
          "match_count"?: number;
          "match_threshold"?: number;
          "p_user_id"?: string;
          "query_embedding": string;
        };
        Returns: {
          "actions": Json;
          "confidence": number;
          "context": Json;
          "final_outcome": string;
          "id": string;
          "similarity": number;
          "trigger": string;
          "use_count": number;
        }[];
      };
      "finish_tool_execution": {
        Args: {
          "p_duration_ms"?: number;
          "p_error_message"?: string;
          "p_id": string;
          "p_result"?: Json;
          "p_status"?: string;
          "p_user_id"?: string;
        };
        Returns: {
          "arguments": Json | null;
          "attempt": number;
          "completed_at": string | null;
          "created_at": string;
          "duration_ms": number | null;
          "error_message": string | null;
          "id": string;
          "project_id": string | null;
          "result": Json | null;
          "run_id": string | null;
          "started_at": string;
          "status": string;
          "step": string | null;
          "task_id": string | null;
          "tool_name": string;
          "user_id": string;
        };
        SetofOptions: {
          from: "*";
          to: "tool_executions";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "get_document_statistics": {
        Args: { "p_from"?: string; "p_period"?: string; "p_to"?: string; "p_user_id"?: string };
        Returns: {
          "document_type": string;
          "last_at": string;
          "period_start": string;
          "tasks": number;
          "total": number;
        }[];
      };
      "get_documents_by_task": {
        Args: {
          "p_before"?: string;
          "p_before_id"?: string;
          "p_limit"?: number;
          "p_task_id": string;
          "p_user_id"?: string;
        };
        Returns: {
          "created_at": string;
          "document_type": string;
          "external_id": string | null;
          "id": string;
          "metadata": NonNullable<Json>;
          "service": string | null;
          "task_id": string | null;
          "title": string;
          "url": string | null;
          "user_id": string;
        }[];
        SetofOptions: {
          from: "*";
          to: "documents_generated";
          isOneToOne: false;
          isSetofReturn: true;
        };
      };
      "get_documents_by_type": {
        Args: {
          "p_before"?: string;
          "p_before_id"?: string;
          "p_document_type": string;
          "p_from"?: string;
          "p_limit"?: number;
          "p_to"?: string;
          "p_user_id"?: string;
        };
        Returns: {
          "created_at": string;
          "document_type": string;
          "external_id": string | null;
          "id": string;
          "metadata": NonNullable<Json>;
          "service": string | null;
          "task_id": string | null;
          "title": string;
          "url": string | null;
          "user_id": string;
        }[];
        SetofOptions: {
          from: "*";
          to: "documents_generated";
          isOneToOne: false;
          isSetofReturn: true;
        };
      };
      "get_execution_log_statistics": {
        Args: { "p_from"?: string; "p_period"?: string; "p_to"?: string; "p_user_id"?: string };
        Returns: {
          "agent_type": string;
          "last_at": string;
          "level": string;
          "period_start": string;
          "tasks": number;
          "total": number;
        }[];
      };
      "get_execution_logs_by_task": {
        Args: {
          "p_after_seq"?: number;
          "p_limit"?: number;
          "p_task_id": string;
          "p_user_id"?: string;
        };
        Returns: {
          "agent_type": string;
          "created_at": string;
          "id": string;
          "is_keyed": boolean;
          "level": string;
          "message": string;
          "metadata": NonNullable<Json>;
          "seq": number;
          "step": string | null;
          "task_id": string;
          "user_id": string;
        }[];
        SetofOptions: {
          from: "*";
          to: "execution_logs";
          isOneToOne: false;
          isSetofReturn: true;
        };
      };
      "get_execution_logs_filtered": {
        Args: {
          "p_after_seq"?: number;
          "p_agent_type"?: string;
          "p_before_seq"?: number;
          "p_cursor_at"?: string;
          "p_from"?: string;
          "p_level"?: string;
          "p_limit"?: number;
          "p_search"?: string;
          "p_step"?: string;
          "p_task_id"?: string;
          "p_to"?: string;
          "p_user_id"?: string;
        };
        Returns: {
          "agent_type": string;
          "created_at": string;
          "id": string;
          "is_keyed": boolean;
          "level": string;
          "message": string;
          "metadata": NonNullable<Json>;
          "seq": number;
          "step": string | null;
          "task_id": string;
          "user_id": string;
        }[];
        SetofOptions: {
          from: "*";
          to: "execution_logs";
          isOneToOne: false;
          isSetofReturn: true;
        };
      };
      "get_leads_filtered": {
        Args: {
          "p_assigned_to"?: string;
          "p_before"?: string;
          "p_before_id"?: string;
          "p_from"?: string;
          "p_is_unassigned"?: boolean;
          "p_limit"?: number;
          "p_search"?: string;
          "p_service"?: string;
          "p_status"?: Database["public"]["Enums"]["lead_status"];
          "p_to"?: string;
        };
        Returns: {
          "assigned_to": string | null;
          "budget_range": string | null;
          "company": string | null;
          "created_at": string;
          "email": string | null;
          "id": string;
          "lead_score": number;
          "metadata": NonNullable<Json>;
          "name": string | null;
          "notes": string | null;
          "phone": string | null;
          "services_interested": (string)[];
          "source": string | null;
          "status": Database["public"]["Enums"]["lead_status"];
          "timeline": string | null;
          "updated_at": string;
        }[];
        SetofOptions: {
          from: "*";
          to: "leads";
          isOneToOne: false;
          isSetofReturn: true;
        };
      };
      "get_recent_task_history": {
        Args: { "p_limit"?: number; "p_user_id"?: string };
        Returns: {
          "completed_at": string | null;
          "created_at": string;
          "description": string;
          "duration_ms": number | null;
          "error_message": string | null;
          "execution_id": string | null;
          "id": string;
          "metadata": NonNullable<Json>;
          "output_links": (string)[];
          "output_summary": string | null;
          "result": Json | null;
          "services_used": (string)[];
          "started_at": string | null;
          "status": string;
          "updated_at": string;
          "user_id": string;
        }[];
        SetofOptions: {
          from: "*";
          to: "task_history";
          isOneToOne: false;
          isSetofReturn: true;
        };
      };
      "get_shared_memory": {
        Args: {
          "p_conversation_id": string;
          "p_memory_key": string;
          "p_scope"?: string;
          "p_user_id"?: string;
        };
        Returns: Json;
      };
      "get_task_history_filtered": {
        Args: {
          "p_before"?: string;
          "p_before_id"?: string;
          "p_from"?: string;
          "p_limit"?: number;
          "p_search"?: string;
          "p_service"?: string;
          "p_status"?: string;
          "p_to"?: string;
          "p_user_id"?: string;
        };
        Returns: {
          "completed_at": string | null;
          "created_at": string;
          "description": string;
          "duration_ms": number | null;
          "error_message": string | null;
          "execution_id": string | null;
          "id": string;
          "metadata": NonNullable<Json>;
          "output_links": (string)[];
          "output_summary": string | null;
          "result": Json | null;
          "services_used": (string)[];
          "started_at": string | null;
          "status": string;
          "updated_at": string;
          "user_id": string;
        }[];
        SetofOptions: {
          from: "*";
          to: "task_history";
          isOneToOne: false;
          isSetofReturn: true;
        };
      };
      "get_task_statistics": {
        Args: { "p_from"?: string; "p_period"?: string; "p_to"?: string; "p_user_id"?: string };
        Returns: {
          "active": number;
          "avg_duration_ms": number;
          "cancelled": number;
          "completed": number;
          "failed": number;
          "p95_duration_ms": number;
          "period_start": string;
          "services": Json;
          "success_rate": number;
          "total": number;
        }[];
      };
      "get_tool_statistics": {
        Args: { "p_from"?: string; "p_period"?: string; "p_to"?: string; "p_user_id"?: string };
        Returns: {
          "avg_duration_ms": number;
          "completed": number;
          "failed": number;
          "p95_duration_ms": number;
          "period_start": string;
          "tool_name": string;
          "total": number;
        }[];
      };
      "get_user_tokens": {
        Args: { "p_provider"?: string; "p_user_id"?: string };
        Returns: {
          "encrypted_access_token": string;
          "encrypted_refresh_token": string;
          "expires_at": string;
          "generation": number;
          "id": string;
          "is_expired": boolean;
          "masked_token": string;
          "provider": string;
          "scopes": (string)[];
          "status": string;
        }[];
      };
      "increment_pattern_use_count": { Args: { "pattern_id": string }; Returns: undefined };
      "insert_execution_log": {
        Args: {
          "p_agent_type"?: string;
          "p_id"?: string;
          "p_level"?: string;
          "p_message": string;
          "p_metadata"?: Json;
          "p_step"?: string;
          "p_task_id": string;
          "p_user_id"?: string;
        };
        Returns: string;
      };
      "insert_execution_logs": { Args: { "p_logs": Json; "p_user_id"?: string }; Returns: Json };
      "insert_generated_document": {
        Args: {
          "p_document_type": string;
          "p_external_id"?: string;
          "p_id"?: string;
          "p_metadata"?: Json;
          "p_service"?: string;
          "p_task_id"?: string;
          "p_title": string;
          "p_url"?: string;
          "p_user_id"?: string;
        };
        Returns: string;
      };
      "insert_lead": {
        Args: { "p_lead": Json };
        Returns: {
          "assigned_to": string | null;
          "budget_range": string | null;
          "company": string | null;
          "created_at": string;
          "email": string | null;
          "id": string;
          "lead_score": number;
          "metadata": NonNullable<Json>;
          "name": string | null;
          "notes": string | null;
          "phone": string | null;
          "services_interested": (string)[];
          "source": string | null;
          "status": Database["public"]["Enums"]["lead_status"];
          "timeline": string | null;
          "updated_at": string;
        };
        SetofOptions: {
          from: "*";
          to: "leads";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "insert_task_history": {
        Args: {
          "p_description": string;
          "p_execution_id"?: string;
          "p_metadata"?: Json;
          "p_services_used"?: (string)[];
          "p_status"?: string;
          "p_task_id"?: string;
          "p_user_id"?: string;
        };
        Returns: string;
      };
      "is_admin": { Args: Record<PropertyKey, never>; Returns: boolean };
      "mira_activate_workflow": {
        Args: { "p_user_id": string; "p_workflow_id": string };
        Returns: Json;
      };
      "mira_advance": {
        Args: {
          "p_epoch": number;
          "p_lean"?: boolean;
          "p_lease_ms"?: number;
          "p_outcome": Json;
          "p_run_id": string;
          "p_seq": number;
        };
        Returns: Json;
      };
      "mira_advance_batch": {
        Args: { "p_lean"?: boolean; "p_lease_ms"?: number; "p_steps": Json };
        Returns: Json;
      };
      "mira_advance_items": {
        Args: {
          "p_lean"?: boolean;
          "p_lease_ms"?: number;
          "p_results": Json;
          "p_run_id": string;
          "p_seq": number;
          "p_take"?: number;
        };
        Returns: Json;
      };
      "mira_answering_model": { Args: Record<PropertyKey, never>; Returns: string };
      "mira_begin_learning": {
        Args: { "p_event_limit"?: number; "p_lease_seconds"?: number; "p_user_id"?: string };
        Returns: Json;
      };
      "mira_cache_embeddings": {
        Args: {
          "p_dimensions": number;
          "p_embeddings": (string)[];
          "p_model": string;
          "p_texts": (string)[];
        };
        Returns: number;
      };
      "mira_cached_embeddings": {
        Args: { "p_model": string; "p_texts": (string)[] };
        Returns: {
          "embedding": string;
          "ordinal": number;
        }[];
      };
      "mira_cancel_run": {
        Args: { "p_reason"?: string; "p_run_id": string; "p_user_id": string };
        Returns: Json;
      };
      "mira_check_recall": {
        Args: { "p_repair"?: boolean; "p_sample"?: number; "p_user_id"?: string };
        Returns: {
          "fact": string;
          "is_good": boolean;
          "value": number;
        }[];
      };
      "mira_claim_idempotency_key": {
        Args: { "p_fingerprint": string; "p_key": string; "p_route": string; "p_subject": string };
        Returns: Json;
      };
      "mira_claim_tasks": {
        Args: {
          "p_item_batch"?: number;
          "p_lease_ms"?: number;
          "p_limit"?: number;
          "p_run_id"?: string;
          "p_user_id"?: string;
        };
        Returns: Json;
      };
      "mira_claim_token_revocations": {
        Args: { "p_limit"?: number };
        Returns: {
          "ciphertext": string;
          "field": string;
          "generation": number;
          "id": string;
          "provider": string;
          "user_id": string;
          "wrapped_key": string;
        }[];
      };
      "mira_commit_learning": {
        Args: {
          "p_contribution"?: Json;
          "p_digests": Json;
          "p_fence": number;
          "p_next_model"?: Json;
          "p_patterns"?: Json;
          "p_ranges": Json;
          "p_user_id": string;
          "p_watermark": number;
        };
        Returns: Json;
      };
      "mira_count_data_keys": {
        Args: Record<PropertyKey, never>;
        Returns: {
          "data_keys": number;
          "root_key_id": string;
        }[];
      };
      "mira_count_recalls": { Args: { "p_limit"?: number }; Returns: number };
      "mira_delete_api_key": { Args: { "p_id": string; "p_user_id": string }; Returns: Json };
      "mira_embedding_work": {
        Args: {
          "p_dimensions"?: number;
          "p_lease_seconds"?: number;
          "p_limit"?: number;
          "p_model": string;
        };
        Returns: Json;
      };
      "mira_fail_token_refresh": {
        Args: {
          "p_generation": number;
          "p_holder": string;
          "p_is_final": boolean;
          "p_reason": string;
          "p_token_id": string;
        };
        Returns: string;
      };
      "mira_finish_token_revocation": {
        Args: { "p_id": string; "p_outcome": string };
        Returns: boolean;
      };
      "mira_follow_execution_logs": {
        Args: { "p_limit"?: number; "p_watches": Json };
        Returns: Json;
      };
      "mira_fork_run": {
        Args: {
          "p_idempotency_key"?: string;
          "p_lease_ms"?: number;
          "p_run_id": string;
          "p_seq": number;
          "p_state"?: Json;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "mira_grant_admin": {
        Args: { "p_reason"?: string; "p_user_id": string };
        Returns: undefined;
      };
      "mira_has_learning": { Args: { "p_user_id"?: string }; Returns: boolean };
      "mira_ingest_events": {
        Args: { "p_events": Json; "p_sent_at"?: string; "p_user_id": string };
        Returns: Json;
      };
      "mira_input_schema": {
        Args: { "p_user_id": string; "p_workflow_id": string };
        Returns: Json;
      };
      "mira_lease_token_refresh": {
        Args: {
          "p_holder": string;
          "p_provider": string;
          "p_ttl_ms"?: number;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "mira_list_due_refreshes": {
        Args: { "p_limit"?: number; "p_providers": (string)[] };
        Returns: {
          "provider": string;
          "user_id": string;
        }[];
      };
      "mira_list_secrets": { Args: { "p_user_id": string }; Returns: Json };
      "mira_list_stale_data_keys": {
        Args: { "p_active_root_key_id": string; "p_after"?: string; "p_limit"?: number };
        Returns: {
          "id": string;
          "user_id": string;
          "wrapped_key": string;
        }[];
      };
      "mira_open_secret": {
        Args: {
          "p_agent_name"?: string;
          "p_label"?: string;
          "p_provider": string;
          "p_purpose": string;
          "p_run_id"?: string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "mira_pattern_feedback": {
        Args: {
          "p_outcome": string;
          "p_pattern_id": string;
          "p_request_id"?: string;
          "p_user_id": string;
        };
        Returns: {
          "confidence": number;
          "use_count": number;
        }[];
      };
      "mira_prepare_secret": {
        Args: { "p_label"?: string; "p_provider": string; "p_user_id": string };
        Returns: Json;
      };
      "mira_promote_habit": {
        Args: { "p_draft": Json; "p_pattern_id": string; "p_user_id": string };
        Returns: Json;
      };
      "mira_put_data_key": {
        Args: { "p_id": string; "p_user_id": string; "p_wrapped_key": string };
        Returns: Json;
      };
      "mira_put_embeddings": {
        Args: { "p_dimensions"?: number; "p_items": Json; "p_model": string };
        Returns: number;
      };
      "mira_rank_struggles": {
        Args: { "p_limit"?: number; "p_module"?: string };
        Returns: {
          "confidence": number;
          "kind": string;
          "module": string;
          "page": string;
          "sessions": number;
          "target": string;
          "users": number;
        }[];
      };
      "mira_read_graph": {
        Args: { "p_run_id"?: string; "p_user_id": string; "p_workflow_id"?: string };
        Returns: Json;
      };
      "mira_read_habit": { Args: { "p_pattern_id": string; "p_user_id": string }; Returns: Json };
      "mira_read_next": { Args: { "p_session_id": string; "p_user_id": string }; Returns: Json };
      "mira_read_population": {
        Args: { "p_units": (string)[]; "p_user_id": string };
        Returns: Json;
      };
      "mira_read_run": { Args: { "p_run_id": string; "p_user_id": string }; Returns: Json };
      "mira_recall_candidates": {
        Args: {
          "p_context"?: Json;
          "p_dimensions"?: number;
          "p_embedding"?: string;
          "p_limit"?: number;
          "p_model"?: string;
          "p_query"?: string;
          "p_sources"?: (string)[];
          "p_user_id": string;
        };
        Returns: Json;
      };
      "mira_recall_patterns": {
        Args: {
          "p_recall_id": string;
          "p_shown"?: (string)[];
          "p_used": (string)[];
          "p_user_id": string;
        };
        Returns: Json;
      };
      "mira_record_item_call": {
        Args: {
          "p_attempt": number;
          "p_item": number;
          "p_outcome": Json;
          "p_run_id": string;
          "p_seq": number;
        };
        Returns: Json;
      };
      "mira_record_pattern": {
        Args: {
          "p_actions"?: Json;
          "p_context"?: Json;
          "p_dimensions"?: number;
          "p_embedding"?: string;
          "p_final_outcome"?: string;
          "p_model"?: string;
          "p_request_id"?: string;
          "p_trigger": string;
          "p_user_id": string;
        };
        Returns: {
          "confidence": number;
          "id": string;
          "merged": boolean;
          "use_count": number;
        }[];
      };
      "mira_redrive_runs": {
        Args: { "p_run_ids": (string)[]; "p_user_id": string };
        Returns: Json;
      };
      "mira_release_runs": { Args: { "p_leases": Json }; Returns: Json };
      "mira_renew_leases": { Args: { "p_lease_ms"?: number; "p_leases": Json }; Returns: Json };
      "mira_reserve_spend": {
        Args: {
          "p_answer_tokens": number;
          "p_holder": number;
          "p_input_price"?: number;
          "p_input_tokens": number;
          "p_item": number;
          "p_output_price"?: number;
          "p_run_id": string;
          "p_seq": number;
        };
        Returns: Json;
      };
      "mira_reset_learning": { Args: { "p_user_id": string }; Returns: undefined };
      "mira_resume_run": {
        Args: {
          "p_boxed"?: boolean;
          "p_lease_ms"?: number;
          "p_request_id"?: string;
          "p_run_id": string;
          "p_seq"?: number;
          "p_user_id": string;
          "p_value": Json;
        };
        Returns: Json;
      };
      "mira_revoke_admin": { Args: { "p_user_id": string }; Returns: undefined };
      "mira_rewrap_data_keys": { Args: { "p_keys": Json }; Returns: number };
      "mira_run_events": {
        Args: { "p_after"?: number; "p_limit"?: number; "p_run_id": string; "p_user_id": string };
        Returns: Json;
      };
      "mira_settle_idempotency_key": {
        Args: {
          "p_body": string;
          "p_content_type": string;
          "p_key": string;
          "p_route": string;
          "p_status": number;
          "p_subject": string;
        };
        Returns: undefined;
      };
      "mira_signal_run": {
        Args: {
          "p_boxed"?: boolean;
          "p_dedup_id"?: string;
          "p_lease_ms"?: number;
          "p_name": string;
          "p_payload"?: Json;
          "p_run_id": string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "mira_start_run": {
        Args: {
          "p_boxed"?: boolean;
          "p_idempotency_key"?: string;
          "p_input"?: Json;
          "p_lease_ms"?: number;
          "p_options"?: Json;
          "p_thread_id"?: string;
          "p_user_id": string;
          "p_workflow"?: Json;
          "p_workflow_id"?: string;
        };
        Returns: Json;
      };
      "mira_start_runs": {
        Args: {
          "p_inputs": Json;
          "p_lease_ms"?: number;
          "p_user_id": string;
          "p_workflow_id": string;
        };
        Returns: Json;
      };
      "mira_store_api_key": {
        Args: {
          "p_encrypted_key": string;
          "p_generation": number;
          "p_key_hash": string;
          "p_label": string;
          "p_masked_key": string;
          "p_metadata": Json;
          "p_provider": string;
          "p_user_id": string;
        };
        Returns: Json;
      };
      "mira_store_token_refresh": {
        Args: {
          "p_access_token": string;
          "p_expires_in": number;
          "p_generation": number;
          "p_masked_token": string;
          "p_refresh_token": string;
          "p_scopes": (string)[];
          "p_token_id": string;
        };
        Returns: Json;
      };
      "mira_take_rate_limit": {
        Args: {
          "p_action": string;
          "p_cost"?: number;
          "p_limit": number;
          "p_subject": string;
          "p_window_seconds": number;
        };
        Returns: number;
      };
      "mira_tend_recall_cells": {
        Args: { "p_least"?: number; "p_limit"?: number };
        Returns: number;
      };
      "mira_validate_workflow": {
        Args: { "p_user_id": string; "p_workflow"?: Json; "p_workflow_id"?: string };
        Returns: Json;
      };
      "start_tool_execution": {
        Args: {
          "p_arguments"?: Json;
          "p_id"?: string;
          "p_project_id"?: string;
          "p_run_id"?: string;
          "p_step"?: string;
          "p_task_id"?: string;
          "p_tool_name": string;
          "p_user_id"?: string;
        };
        Returns: string;
      };
      "update_cli_session_last_seen": {
        Args: { "p_session_id": string; "p_user_id"?: string };
        Returns: {
          "client_version": string | null;
          "closed_at": string | null;
          "created_at": string;
          "expires_at": string;
          "id": string;
          "last_seen_at": string;
          "metadata": NonNullable<Json>;
          "name": string | null;
          "platform": string | null;
          "project_id": string | null;
          "status": string;
          "ttl_seconds": number;
          "updated_at": string;
          "user_id": string;
        };
        SetofOptions: {
          from: "*";
          to: "cli_sessions";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "update_lead": {
        Args: { "p_changes": Json; "p_lead_id": string };
        Returns: {
          "assigned_to": string | null;
          "budget_range": string | null;
          "company": string | null;
          "created_at": string;
          "email": string | null;
          "id": string;
          "lead_score": number;
          "metadata": NonNullable<Json>;
          "name": string | null;
          "notes": string | null;
          "phone": string | null;
          "services_interested": (string)[];
          "source": string | null;
          "status": Database["public"]["Enums"]["lead_status"];
          "timeline": string | null;
          "updated_at": string;
        };
        SetofOptions: {
          from: "*";
          to: "leads";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "update_task_history_status": {
        Args: {
          "p_duration_ms"?: number;
          "p_error_message"?: string;
          "p_output_links"?: (string)[];
          "p_output_summary"?: string;
          "p_result"?: Json;
          "p_services_used"?: (string)[];
          "p_status"?: string;
          "p_task_id": string;
          "p_user_id"?: string;
        };
        Returns: {
          "completed_at": string | null;
          "created_at": string;
          "description": string;
          "duration_ms": number | null;
          "error_message": string | null;
          "execution_id": string | null;
          "id": string;
          "metadata": NonNullable<Json>;
          "output_links": (string)[];
          "output_summary": string | null;
          "result": Json | null;
          "services_used": (string)[];
          "started_at": string | null;
          "status": string;
          "updated_at": string;
          "user_id": string;
        };
        SetofOptions: {
          from: "*";
          to: "task_history";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "upsert_user_tokens": {
        Args: {
          "p_access_token": string;
          "p_expires_at"?: string;
          "p_expires_in"?: number;
          "p_generation"?: number;
          "p_masked_token"?: string;
          "p_provider": string;
          "p_refresh_token"?: string;
          "p_scopes"?: (string)[];
          "p_user_id": string;
        };
        Returns: Json;
      };
    };
    Enums: {
      "lead_status":
        | "new"
        | "contacted"
        | "qualified"
        | "proposal"
        | "negotiation"
        | "won"
        | "lost";
    };
    CompositeTypes: {
      [_ in never]: never;
    };
  };
};

type DatabaseWithoutInternals = Omit<Database, "__InternalSupabase">;

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, "public">];

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof (
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"]
    )
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals } ? (
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"]
  )[TableName] extends {
    Row: infer R;
  } ? R
  : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    ? (DefaultSchema["Tables"] & DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
      Row: infer R;
    } ? R
    : never
  : never;

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends
    {
      Insert: infer I;
    } ? I
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Insert: infer I;
    } ? I
    : never
  : never;

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends
    {
      Update: infer U;
    } ? U
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Update: infer U;
    } ? U
    : never
  : never;

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    | keyof DefaultSchema["Enums"]
    | { schema: keyof DatabaseWithoutInternals },
  EnumName extends DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"]
    : never = never,
> = DefaultSchemaEnumNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
    ? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
  : never;

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema["CompositeTypes"]
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"]
    : never = never,
> = PublicCompositeTypeNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"][
    CompositeTypeName
  ]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema["CompositeTypes"]
    ? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
  : never;

export const Constants = {
  "public": {
    Enums: {
      "lead_status": ["new", "contacted", "qualified", "proposal", "negotiation", "won", "lost"],
    },
  },
} as const;
