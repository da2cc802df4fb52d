package io.trefoil.e2e;

/** Response codes by number: the class that names them moved between client generations. */
final class Code {
    static final int SYSTEM_ERROR = 1;
    static final int SYSTEM_BUSY = 2;
    static final int MESSAGE_ILLEGAL = 13;
    static final int NO_PERMISSION = 16;
    static final int TOPIC_NOT_EXIST = 17;
    static final int QUERY_NOT_FOUND = 22;
    static final int INVALID_PARAMETER = 29;
    static final int CONSUMER_NOT_ONLINE = 206;
    static final int ILLEGAL_OPERATION = 604;
    /** Raised by the client itself. */
    static final int NO_ROUTE = 10005;

    private Code() {
    }
}
